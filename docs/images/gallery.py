"""Take pictures of a gallery page in headless Chromium: gallery.py PAGE FOLDER."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options

VIEWS = {
    "gallery": (1100, 600, "light", False),
    "gallery-dark": (1100, 600, "dark", True),
    "gallery-narrow": (400, 700, "light", True),
}
"""Width, height, colours, and whether the ground truth is shown, by name of the picture."""


def main(page: Path, folder: Path) -> None:
    """Write a picture of each view."""
    with tempfile.TemporaryDirectory() as profile:
        options = Options()
        for word in ("headless=new", "no-sandbox", "hide-scrollbars", f"user-data-dir={profile}"):
            options.add_argument(f"--{word}")
        driver = webdriver.Chrome(options=options)
        try:
            for name, (width, height, scheme, truth) in VIEWS.items():
                size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                colours = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", colours)
                driver.get(page.resolve().as_uri())
                if truth:
                    driver.find_element("id", "overlay").click()
                with Image.open(io.BytesIO(driver.get_screenshot_as_png())) as picture:
                    picture.convert("RGB").save(folder / f"{name}.jpg", quality=82, optimize=True)
        finally:
            driver.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
