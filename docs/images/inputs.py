"""Writes the inputs of a few pictures: python inputs.py PORTRAITS GROUPS TARTAN.

PORTRAITS holds NAME/1.png. GROUPS gets all of them side by side, TARTAN a fabric.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    """Write the group and the fabric."""
    portraits, groups, tartan = map(Path, sys.argv[1:])
    pictures = [Image.open(path).convert("RGB") for path in sorted(portraits.glob("*/1.png"))]
    height = min(picture.height for picture in pictures)
    side_by_side = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    (groups / "group").mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.hstack([np.asarray(picture) for picture in side_by_side])).save(groups / "group" / "1.png")
    threads = np.full((64, 3), (150, 30, 40), np.uint8)
    threads[8:20], threads[30:34], threads[44:52] = (20, 40, 80), (230, 200, 60), (20, 60, 40)
    across = np.arange(64)[:, None] // 2 + np.arange(64)[None, :] // 2
    Image.fromarray(np.where((across % 2 == 0)[..., None], threads[:, None], threads[None, :])).save(tartan)


if __name__ == "__main__":
    main()
