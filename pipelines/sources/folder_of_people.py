"""A folder whose sub-folders are people, as LFW, VGGFace2 or CASIA-WebFace come."""

from __future__ import annotations

from faceloom.pipelines.sources.flat_folder import FlatFolder


class FolderOfPeople(FlatFolder):
    """All pictures below a folder; the first folder on the way to a picture names the person.

    Folders further down belong to that person. A picture at the top has no identity.
    """

    def identity_of(self, uri: str) -> str | None:
        """Name of the first folder of the uri; None for a picture at the top."""
        person, slash, _ = uri.partition("/")
        return person if slash else None
