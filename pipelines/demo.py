"""Make the photos of the demo: views of two public-domain portraits that come with installed packages.

Run as `faceloom demo FOLDER`. Nothing is downloaded.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError
from faceloom.schemas.keys import generator

if TYPE_CHECKING:
    from PIL.Image import Image

VIEWS = 20
SIDE = 400
"""Width and height of a view in pixels."""

_EYES = {"Grace_Hopper": ((219.0, 174.0), (291.0, 180.0)), "Eileen_Collins": ((204.0, 111.0), (247.0, 112.0))}
"""Centres of the left and right eye (as seen) in the portraits, x and y in pixels."""


def load_portraits() -> dict[str, Image]:
    """The two portraits by name, RGB: Grace Hopper from matplotlib, Eileen Collins (NASA) from scikit-image.

    Raises:
        FaceloomError: one of these packages is not installed.
    """
    from PIL import Image

    try:
        import matplotlib
        from skimage import data
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[demo]'"
        raise FaceloomError(
            "the demo needs matplotlib and scikit-image, which ship its two portraits", value=error, remedy=remedy
        ) from None
    with Image.open(Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")) as picture:
        hopper = picture.convert("RGB")
    return {"Grace_Hopper": hopper, "Eileen_Collins": Image.fromarray(data.astronaut())}


def draw_view(portrait: Image, name: str, rng: np.random.Generator) -> Image:
    """One jittered view of a portrait: scale, position, tilt, brightness, contrast, and mirrored half of the time.

    Args:
        portrait: RGB.
        name: name of the person, a key of `load_portraits`.
        rng: generator that the view is drawn from.

    Returns:
        RGB, SIDE x SIDE pixels, the face near its middle and 0.14 to 0.19 of its width between the eyes.
    """
    from PIL import Image, ImageEnhance, ImageOps

    (x0, y0), (x1, y1) = _EYES[name]
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    scale = np.hypot(x1 - x0, y1 - y0) / (rng.uniform(0.14, 0.19) * SIDE)
    turn = np.deg2rad(rng.uniform(-12, 12))
    target = SIDE * np.array([0.5, 0.4]) + rng.uniform(-0.04, 0.04, 2) * SIDE
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = middle - turned @ target
    matrix = (*turned[0], shift[0], *turned[1], shift[1])
    view = portrait.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    view = ImageEnhance.Brightness(view).enhance(rng.uniform(0.7, 1.25))
    view = ImageEnhance.Contrast(view).enhance(rng.uniform(0.8, 1.2))
    return ImageOps.mirror(view) if rng.random() < 0.5 else view


def encode_jpeg(picture: Image, quality: int, orientation: int = 1) -> bytes:
    """A picture as JPEG, with an EXIF orientation if that is not 1."""
    from PIL import Image

    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def demo_photos(seed: int = 0) -> dict[str, bytes]:
    """All files of the demo by path: VIEWS of each person, and irregular files as real folders have them.

    Usable: a PNG named as JPEG, a photo with an EXIF orientation, a grey photo, a file with an unusual name. Rejected:
    a photo without a face, a truncated photo, a copy, an empty file and a text file.
    """
    from PIL import Image

    photos: dict[str, bytes] = {}
    portraits = load_portraits()
    views: dict[str, Image.Image] = {}
    for name, portrait in portraits.items():
        for number in range(VIEWS):
            path = f"{name}/view_{number:02d}.jpg"
            rng = generator(seed, path, "demo")
            views[path] = draw_view(portrait, name, rng)
            photos[path] = encode_jpeg(views[path], int(rng.integers(60, 96)))
    hopper, collins = views["Grace_Hopper/view_00.jpg"], views["Eileen_Collins/view_00.jpg"]
    png = io.BytesIO()
    hopper.rotate(4).save(png, "PNG")
    photos["Grace_Hopper/png_in_truth.jpg"] = png.getvalue()
    # Orientation 6 is shown turned by 90 degrees clockwise, so it is stored turned the other way.
    photos["Grace_Hopper/turned_by_exif.jpg"] = encode_jpeg(
        hopper.rotate(-4).transpose(Image.Transpose.ROTATE_90), 90, 6
    )
    photos["Eileen_Collins/grey.jpg"] = encode_jpeg(collins.rotate(4).convert("L"), 90)
    photos["Eileen_Collins/à bord, n° 1.b.jpg"] = encode_jpeg(collins.rotate(-4), 90)
    photos["Grace_Hopper/copy_of_view_03.jpg"] = photos["Grace_Hopper/view_03.jpg"]
    photos["Grace_Hopper/truncated.jpg"] = photos["Grace_Hopper/view_04.jpg"][:4000]
    photos["Eileen_Collins/no_face.jpg"] = encode_jpeg(portraits["Eileen_Collins"].crop((300, 330, 512, 512)), 90)
    photos["Eileen_Collins/empty.jpg"] = b""
    photos["Eileen_Collins/notes.txt"] = b"NASA portrait, public domain.\n"
    return photos


def write_photos(folder: Path, seed: int = 0) -> int:
    """Write the demo's photos below a folder, replacing earlier ones, and return their number.

    Raises:
        FaceloomError: the folder holds other files, is a file, or cannot be written.
    """
    photos, storage = demo_photos(seed), Storage(str(folder))
    storage.check_folder()
    if folder.exists():
        there = {place.relative_to(folder).as_posix() for place in folder.rglob("*")}
        strangers = there - {*photos} - {path.split("/")[0] for path in photos}
        if strangers:
            remedy = "Choose another folder"
            raise FaceloomError(
                "the folder holds files that are not from the demo",
                where=str(folder),
                value=", ".join(sorted(strangers)[:3]),
                remedy=remedy,
            )
    for path, data in photos.items():
        with storage.write(path, durable=False) as stream:
            stream.write(data)
    return len(photos)


def main(arguments: list[str]) -> int:
    """Write the photos to the folder that is the only argument; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m faceloom.pipelines.demo FOLDER\n")
        return 2
    count = write_photos(Path(arguments[0]))
    sys.stdout.write(f"{count} files in {arguments[0]}: views of two public-domain portraits, and some odd files\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
