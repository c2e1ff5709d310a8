"""Draws the boxes of a COCO export on its first photo: python boxes.py EXPORT PICTURE."""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw

_COLOURS = ("#00c853", "#ff6d00")


def main() -> None:
    """Draw a box for each annotation, with the name of its category."""
    export, target = map(Path, sys.argv[1:])
    annotations = next(path for path in sorted(export.rglob("*.json")) if "annotations" in json.loads(path.read_text()))
    coco = json.loads(annotations.read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    photo = coco["images"][0]
    picture = Image.open(next(export.rglob(Path(photo["file_name"]).name))).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for one in coco["annotations"]:
        if one["image_id"] == photo["id"]:
            left, top, width, height = one["bbox"]
            colour = _COLOURS[one["category_id"] % len(_COLOURS)]
            pen.rectangle((left, top, left + width, top + height), outline=colour, width=3)
            pen.text((left + 5, top + 4), names[one["category_id"]], fill=colour, font_size=18)
    picture.save(target, quality=85)


if __name__ == "__main__":
    main()
