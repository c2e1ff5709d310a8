"""The options of an export, checked one by one and against each other."""

from __future__ import annotations

from dataclasses import dataclass

from faceloom.schemas.errors import FaceloomError

LAYOUTS = ("folder", "imagefolder", "recordio", "coco", "yolo")
"""Layouts by name."""
NAMES = ("key", "source")
"""What files of an image folder are called after."""
SOURCE, RENUMBER = "source", "renumber"
"""Labels that need no file."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export, and how.

    Attributes:
        layout: one of `LAYOUTS`.
        split: export this split only.
        morphs: whether to export morphs; None for the layout's default.
        pictures: names of the pictures to export; empty for the masked one, or the face without a mask.
        mix: share of each person's records that hold the second picture; None for a record of each picture.
        names: one of `NAMES`, for `imagefolder`.
        labels: `source`, `renumber` or the path of a table, for `recordio`; None to keep labels that the source has.

    Raises:
        FaceloomError: an option has an unknown value, or does not fit the layout.
    """

    layout: str = "folder"
    split: str | None = None
    morphs: bool | None = None
    pictures: tuple[str, ...] = ()
    mix: float | None = None
    names: str = NAMES[0]
    labels: str | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise FaceloomError("unknown layout", value=self.layout, remedy=f"Choose from: {', '.join(LAYOUTS)}")
        if self.names not in NAMES:
            raise FaceloomError("unknown names of files", value=self.names, remedy=f"Choose from: {', '.join(NAMES)}")
        if self.layout == "folder" and self.pictures:
            remedy = "Omit --picture, or give --layout imagefolder or recordio"
            raise FaceloomError("plain files hold all pictures of a sample", value=self.pictures[0], remedy=remedy)
        if self.layout == "imagefolder" and len(self.pictures) > 1:
            remedy = "Name one picture, or give --layout recordio"
            value = ",".join(self.pictures)
            raise FaceloomError("an image folder holds one picture per sample", value=value, remedy=remedy)
        if self.layout in ("coco", "yolo") and len(self.pictures) > 1:
            value = ",".join(self.pictures)
            raise FaceloomError("a detector's set holds one picture per sample", value=value, remedy="Name one picture")
        for option, given, layout in (
            ("--names", self.names != NAMES[0], "imagefolder"),
            ("--labels", self.labels is not None, "recordio"),
            ("--mix", self.mix is not None, "recordio"),
        ):
            if given and self.layout != layout:
                raise FaceloomError(f"{option} fits --layout {layout} only", value=self.layout, remedy=f"Omit {option}")
        if "" in self.pictures or len(set(self.pictures)) < len(self.pictures):
            remedy = "Write each name once, such as face,masked"
            raise FaceloomError("a picture is named twice or not at all", value=",".join(self.pictures), remedy=remedy)
        if self.mix is not None and not (0 < self.mix < 1 and len(self.pictures) == 2):
            remedy = "Give two pictures and a share between 0 and 1, such as --pictures face,masked --mix 0.5"
            raise FaceloomError("a mix is a share of two pictures", value=self.mix, remedy=remedy)

    @property
    def description(self) -> str:
        """Text that is the same for exports that may share a target folder."""
        if self.layout in ("coco", "yolo"):
            return f"{self.layout} of {','.join(self.pictures) or 'masked or face'}"
        if self.layout != "imagefolder":
            return self.layout
        return f"imagefolder of {','.join(self.pictures) or 'masked or face'} by {self.names}"
