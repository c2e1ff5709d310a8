"""Read single samples of a build or release, by number or by key."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.pipelines.read.pipeline import ReadOptions
from faceloom.pipelines.read.sample_members import Missing, pick_members
from faceloom.pipelines.read.split_pieces import split_shards
from faceloom.pipelines.store.checked_shards import Listed, read_places, read_samples
from faceloom.pipelines.store.paths import shard_tar
from faceloom.pipelines.store.sample_places import Place
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import BLOCK
from faceloom.schemas.errors import FaceloomError, StorageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def open_samples(
    out: str | Path,
    split: str | None = None,
    *,
    decode: bool = True,
    tensors: bool = False,
    members: Sequence[str] | None = None,
    missing: Missing = "error",
    verify: bool = True,
) -> Samples:
    """Open a finished build for random access.

    Example:
        samples = open_samples("out", "train", members=["face", "mask"])
        sample = samples[0]
        sample = samples.by_key("04a0bb93c2e032ba-f00-m002")
        loader = torch.utils.data.DataLoader(samples, batch_size=64, shuffle=True)

    Args:
        out: folder of the build.
        split: `train`, `val`, `test`, or a split name of the source; None for all samples.
        decode, tensors, members, verify: as in `open_split`.
        missing: as in `open_split`, without `skip`.

    Returns:
        The samples, as a map-style dataset for PyTorch. It reads the indexes at once and pictures when they are asked
        for.

    Raises:
        StorageError: there is no finished build, or a shard or its index is missing or damaged.
        FaceloomError: the build has no such split, or an option has an impossible value.
    """
    options = ReadOptions(decode=decode, tensors=tensors, members=members, missing=missing, verify=verify)
    storage = Storage(str(out))
    return Samples(storage, split_shards(storage, split), options)


class Samples:
    """The samples of some shards by number and by key. Each is read with one range request on access.

    A map-style dataset for PyTorch. It holds no open file and travels to forked and spawned workers. In memory it takes
    some 350 bytes per sample.
    """

    def __init__(self, storage: Storage, shards: Sequence[Listed], options: ReadOptions | None = None) -> None:
        """Read the indexes of the shards.

        Args:
            storage: the folder that holds `shards/` and `index/`.
            shards: what a build record or a release manifest lists of them, in order.
            options: how to read a sample; options of streams, such as `shuffle`, have no effect.

        Raises:
            StorageError: a shard or its index is missing or damaged, or two samples have the same key.
            FaceloomError: the options leave samples out.
        """
        import numpy as np

        self._storage, self._options = storage, options or ReadOptions()
        if self._options.missing == "skip":
            remedy = "Use 'error' or a mapping, or read a stream with open_split"
            raise FaceloomError("samples by number cannot be left out", value="missing='skip'", remedy=remedy)
        members = self._options.members
        self._members = None if members is None else tuple(members)
        self._shards = tuple(shard.name for shard in shards)
        self._places = tuple(read_places(storage, shard.name, shard) for shard in shards)
        self._ends = np.cumsum([0, *map(len, self._places)], dtype=np.int64)
        self._keys: npt.NDArray[np.bytes_] = np.concatenate([np.array([], "S1"), *(one.keys for one in self._places)])
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]
        if len(twice := np.flatnonzero(self._sorted[1:] == self._sorted[:-1])):
            key = self._sorted[twice[0]].decode()
            remedy = "Get an undamaged copy, or build the dataset again"
            raise StorageError("two samples have the same key", where=storage.root, value=key, remedy=remedy)

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, number: int) -> dict[str, Any]:
        """Read a sample by its number, from 0; negative numbers count from the end.

        Returns:
            A sample as `open_split` gives it.

        Raises:
            IndexError: there is no such number.
            StorageError: the sample is damaged or cannot be read.
        """
        shard, place = self._find(number)
        if self._members is not None:  # a range that ends with the last member that is wanted
            wanted = tuple(one for one in place.members if one.name.partition(".")[0] in self._members)
            begin, end = place.offset, place.offset
            if wanted:
                begin, end = wanted[0].offset - BLOCK, wanted[-1].offset + wanted[-1].size + -wanted[-1].size % BLOCK
            place = Place(place.key, begin, end - begin, wanted)
        ((key, members),) = read_samples(self._storage, shard, [place], verify=self._options.verify)
        raw = {"__key__": key, "__url__": self._storage.place(shard_tar(shard)), **members}
        options = self._options
        picked = pick_members(
            raw, members=self._members, missing=options.missing, decode=options.decode, tensors=options.tensors
        )
        assert picked is not None  # samples are left out with `skip` alone
        return picked

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(len(self)))

    def __contains__(self, key: object) -> bool:
        """Whether a sample has this key."""
        return isinstance(key, str) and self._number(key) is not None

    def key(self, number: int) -> str:
        """Return the key of a sample by its number. Reads nothing."""
        return str(self._keys[number].decode())

    def number(self, key: str) -> int:
        """Return the number of a sample by its key. Reads nothing.

        Raises:
            KeyError: no sample has this key.
        """
        if (found := self._number(key)) is None:
            raise KeyError(key)
        return found

    def by_key(self, key: str) -> dict[str, Any]:
        """Read a sample by its key.

        Raises:
            KeyError: no sample has this key.
            StorageError: the sample is damaged or cannot be read.
        """
        return self[self.number(key)]

    def _number(self, key: str) -> int | None:
        wanted = key.encode("ascii", "replace")
        at = int(self._sorted.searchsorted(wanted))
        return int(self._order[at]) if at < len(self) and self._sorted[at] == wanted else None

    def _find(self, number: int) -> tuple[str, Place]:
        """Shard and place of a sample by its number."""
        at = range(len(self))[operator.index(number)]
        shard = int(self._ends.searchsorted(at, "right")) - 1
        return self._shards[shard], self._places[shard][at - int(self._ends[shard])]
