"""Read TinyFace in its original layout: a training set, and a testing set of probes, matches and distractors."""

from __future__ import annotations

from dataclasses import replace

from faceloom.pipelines.sources.flat_folder import FlatFolder
from faceloom.pipelines.sources.path_pattern import photo_of
from faceloom.pipelines.sources.walk import Found, scan_reject
from faceloom.schemas.path_pattern import compile_pattern
from faceloom.schemas.photos import Photo, Reject

_TRAINING = compile_pattern("Training_Set/{identity}/*")
_TESTING = compile_pattern("Testing_Set/{identity}_*")
_ROLES = {"Probe": "probe", "Gallery_Match": "gallery", "Gallery_Distractor": "distractor"}
"""Folders of the testing set, with the attribute `role` of their photos."""


class TinyFace(FlatFolder):
    """`Training_Set/{id}/*` is split `train`, `Testing_Set/{Probe,Gallery_Match,Gallery_Distractor}/{id}_*` is `test`.

    Distractors match no probe and have no identity; their number becomes the attribute `distractor`. A picture
    elsewhere becomes a reject.
    """

    def row_of(self, found: Found) -> Photo | Reject:
        """See `FlatFolder.row_of`."""
        if match := _TRAINING.fullmatch(found.uri):
            return replace(photo_of(self.name, self.spec, found, match), split="train", attributes=(("role", "train"),))
        top, _, rest = found.uri.partition("/")
        folder, _, name = rest.partition("/")
        match = _TESTING.fullmatch(f"{top}/{name}")
        if match is None or folder not in _ROLES:
            where = "Training_Set/{id}/ or Testing_Set/{Probe,Gallery_Match,Gallery_Distractor}/{id}_*"
            return scan_reject(self.name, found.uri, "no_match", f"the picture is not in {where}")
        role = ("role", _ROLES[folder])
        photo = replace(photo_of(self.name, self.spec, found, match), split="test", attributes=(role,))
        if folder != "Gallery_Distractor":
            return photo
        return replace(photo, identity=None, attributes=(("distractor", match["identity"]), role))
