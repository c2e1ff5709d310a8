"""Read a folder with a sub-folder per person, the layout of LFW, VGGFace2 and CASIA-WebFace."""

from __future__ import annotations

from faceloom.pipelines.sources.flat_folder import FlatFolder


class FolderOfPeople(FlatFolder):
    """All pictures below a folder; the first folder in the path of a picture names the person.

    Folders further down belong to that person. A picture at the top has no identity.
    """

    in_folders = True

    def identity_of(self, uri: str) -> str | None:
        """Name of the first folder of the uri; None for a picture at the top."""
        person, slash, _ = uri.partition("/")
        return person if slash else None
