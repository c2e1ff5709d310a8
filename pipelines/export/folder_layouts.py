"""Export samples as plain files: all members of a sample, or one picture of each for loaders of image folders."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from faceloom.pipelines.export.folder_names import folder_name
from faceloom.pipelines.export.sample_facts import is_picture_named
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.index import IndexRow

MEMBERS = "members"
"""Top folder of what is no picture for training. A split of this name gets another folder."""


class FolderFormat:
    """Plain files: `{split}/{identity}/{key}.jpg` is the masked picture, or the face if the sample has no mask.

    The other members are `members/{split}/{identity}/{key}.mask.png`, `{key}.face.jpg`, `{key}.landmarks.npy`,
    `{key}.json` and so on, so that a loader of image folders finds one picture per sample in the folder of a split.
    """

    threads = 8  # most of the time is spent on syncing each file
    morphs = True
    pictures: Mapping[str, int] = {}

    def __init__(self, storage: Storage, alike: Collection[str] = ()) -> None:
        """Args:
        alike: identities whose folders differ in case only, from `alike_names`.
        """
        self._storage, self._alike = storage, alike

    def takes(self, names: Collection[str]) -> Collection[str]:
        """Return all names."""
        return names

    def holds(self, row: IndexRow) -> bool:
        """True if every file exists with the content that the index states."""
        paths = self.paths(row)
        own = [member for member in row.members if member.name in paths]
        return all(self._is(paths[member.name], member.size, member.sha256) for member in own)

    def add(self, row: IndexRow, members: Mapping[str, bytes]) -> None:
        """Write the files of a sample, each atomically."""
        for name, path in self.paths(row).items():
            with self._storage.write(path) as stream:
                stream.write(members[name])

    def finish(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing: every file is complete."""

    def paths(self, row: IndexRow) -> dict[str, str]:
        """Return the path of each file of a sample, by member name."""
        return file_paths(row, self._alike)

    def _is(self, path: str, size: int, sha256: str) -> bool:
        # The size is not enough: all landmarks have the same, and keys survive a change of the recipe.
        storage = self._storage
        if not storage.exists(path) or storage.size(path) != size:
            return False
        return hashlib.sha256(storage.read_bytes(path)).hexdigest() == sha256


class ImageFolderFormat(FolderFormat):
    """One picture per sample, `{split}/{identity}/{key}.jpg`, as ImageFolder of torchvision reads it."""

    morphs = False  # each pair of people would be a class of its own

    def __init__(
        self,
        storage: Storage,
        pictures: tuple[str, ...] = (),
        names: Mapping[str, str] | None = None,
        alike: Collection[str] = (),
    ) -> None:
        """Args:
        pictures: the picture to write; empty for the masked one, or the face without a mask.
        names: name of a sample's file without ending, by key; None for the key.
        alike: as in `FolderFormat`.
        """
        super().__init__(storage, alike)
        self._pictures, self._names = pictures or ("masked", "face"), names

    def takes(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the name of the picture, or nothing."""
        wanted = (name for picture in self._pictures for name in names if is_picture_named(name, picture))
        return tuple(wanted)[:1]

    def paths(self, row: IndexRow) -> dict[str, str]:
        """Return the path of the picture by its member name."""
        (name,) = self.takes([member.name for member in row.members])
        stem = row.key if self._names is None else self._names[row.key]
        return {name: f"{_place(row, self._alike)}/{stem}.{name.rpartition('.')[2]}"}


def file_paths(row: IndexRow, alike: Collection[str] = ()) -> dict[str, str]:
    """Return the path of each member of a sample in the layout `folder`, by name. `alike`: see `FolderFormat`."""
    names = [member.name for member in row.members]
    main = next((name for kind in ("masked", "face") for name in names if is_picture_named(name, kind)), "")
    place = _place(row, alike)
    return {
        name: f"{place}/{row.key}.{name.rpartition('.')[2]}" if name == main else f"{MEMBERS}/{place}/{row.key}.{name}"
        for name in names
    }


def _place(row: IndexRow, alike: Collection[str]) -> str:
    split = folder_name(row.split)
    if split.casefold() == MEMBERS:
        split = f"{split}-{hashlib.sha256(row.split.encode()).hexdigest()[:12]}"
    return f"{split}/{folder_name(row.identity, alike)}"
