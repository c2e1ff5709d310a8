"""What analysis found in listed photos, as columns. Landmarks and quality figures lie on disk."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.analyse.photo_table import PhotoTable, stamp_of
from faceloom.pipelines.store.face_columns import LANDMARK_BYTES, FaceColumns, columns_of
from faceloom.pipelines.store.record_file import RecordFile
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.faces import DETECTORS, FIGURES, AnalysedPhoto, FaceRow

TOO_LARGE = "too_many_pixels"
"""A reject that a higher `max_pixels` may undo."""
_RETRY, _LIMITED, _FINAL = 0, 1, 2
"""How certain a row is: the next run tries again, a photo was too large for the limit at that time, or neither."""
_TEXTS = ("code", "message", "labels")
_OF_FACE: dict[str, type[np.generic]] = {
    "box": np.float64, "score": np.float64, "bare": np.bool_, "detector": np.int8, "turn": np.int16,
    "landmarks_unsure": np.bool_, "masked": np.float64,
}  # fmt: skip
_BLOCK = 2**16
"""Texts that are objects at the same time."""
_MOST_SALTS = 4
"""Two of ten million texts have the same hash in one of 400,000 cases."""


class Analysis(Mapping[str, AnalysedPhoto]):
    """The analysis of listed photos by photo id. A row is made on access.

    Columns have a value for each of the N listed photos, in their order.

    Attributes:
        photos: as listed.
        certainty: int8 (N,), -1 for photos without a row; a row never gives way to a less certain one.
        sha256: uint8 (N, 32). width, height: int32 (N,).
        first, faces: int32 (N,), the number of each photo's first face, and of its faces.
        box: float64 (F, 4). landmarks: F records. bare: bool (F,), marks faces without landmarks.
        score: float64 (F,). detector: number in `DETECTORS`, int8 (F,). turn: int16 (F,). landmarks_unsure: bool (F,).
        masked: float64 (F,).
    """

    def __init__(self, storage: Storage, photos: PhotoTable) -> None:
        count = len(photos)
        self.photos = photos
        self.certainty = np.full(count, -1, np.int8)
        self.sha256 = np.zeros((count, 32), np.uint8)
        self.width, self.height, self.first, self.faces = (np.zeros(count, np.int32) for _ in range(4))
        self.landmarks = RecordFile(storage, LANDMARK_BYTES)
        self._quality = RecordFile(storage, 4 * len(FIGURES))
        self._orientation, self._given = np.ones(count, np.int32), np.zeros(count, bool)
        self._texts = {name: np.zeros(count, np.int32) for name in _TEXTS}
        self._numbers, self._different_texts = {"": 0}, [""]
        self._blocks: dict[str, list[Any]] = {name: [] for name in _OF_FACE}

    @classmethod
    def of(cls, storage: Storage, photos: PhotoTable, rows: Mapping[str, AnalysedPhoto]) -> Analysis:
        """The analysis of photos whose rows are in memory."""
        made = cls(storage, photos)
        found = columns_of(list(rows.values()))
        assert found is not None
        made.add([found], stamps=False)
        return made

    def add(self, pieces: Iterable[FaceColumns], *, stamps: bool = True) -> None:
        """Take the rows of listed photos from pieces of the face table, if the photos did not change since.

        A row of an attempt that the next run repeats counts too, unless there is a better row. Of rows that are
        equally good the last one is taken.

        Args:
            stamps: whether size and stamp of a row must be those of the listed photo.
        """
        import pyarrow as pa

        expected = self.photos.stamps()
        keys, order, salt = _sorted_hashes(self.photos)
        for piece in pieces:
            wanted = _hashes(piece.photo_id.to_pylist(), salt)
            at = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
            rows = np.flatnonzero(keys[at] == wanted) if len(keys) else np.zeros(0, np.int64)
            listed = order[at[rows]]
            stamp = piece.stamp.take(pa.array(rows))
            retried = _equal(stamp, "")
            same = _equal(piece.photo_id.take(pa.array(rows)), self.photos.ids(listed))
            if stamps:
                same &= piece.size[rows] == self.photos.sizes[listed]
                same &= retried | _equal(stamp, expected.take(pa.array(listed)))
            limited = _equal(piece.code.take(pa.array(rows)), TOO_LARGE)
            certainty = np.where(retried, _RETRY, np.where(limited, _LIMITED, _FINAL)).astype(np.int8)
            kept = np.flatnonzero(same & (certainty >= self.certainty[listed]))
            kept = kept[np.argsort(certainty[kept], kind="stable")]  # the last of several is the best
            self._put(piece, rows[kept], listed[kept], certainty[kept])
        self.__dict__.pop("_blocks_joined", None)

    def _put(
        self,
        piece: FaceColumns,
        rows: npt.NDArray[np.integer],
        listed: npt.NDArray[np.integer],
        certainty: npt.NDArray[np.int8],
    ) -> None:
        """Take the rows of a piece for these listed photos."""
        self.certainty[listed], self.sha256[listed] = certainty, piece.sha256[rows]
        self.width[listed], self.height[listed] = piece.width[rows], piece.height[rows]
        self._orientation[listed], self._given[listed] = piece.orientation[rows], piece.given[rows]
        for name in _TEXTS:
            self._texts[name][listed] = self._codes(getattr(piece, name))[rows]
        taken = np.zeros(len(piece.faces), bool)
        taken[rows] = True
        faces = np.repeat(taken, piece.faces)
        first = np.cumsum(np.where(taken, piece.faces, 0)) - piece.faces
        self.first[listed], self.faces[listed] = len(self.landmarks) + first[rows], piece.faces[rows]
        self.landmarks.append(piece.landmarks[faces])
        self._quality.append(piece.quality[faces].view(np.uint8))
        for name, blocks in self._blocks.items():
            blocks.append(getattr(piece, name)[faces])

    def _codes(self, texts: Any) -> npt.NDArray[np.int32]:
        encoded = texts.dictionary_encode()
        numbers = []
        for text in encoded.dictionary.to_pylist():
            numbers.append(self._numbers.setdefault(text, len(self._numbers)))
            if len(self._numbers) > len(self._different_texts):
                self._different_texts.append(text)
        codes: npt.NDArray[np.int32] = np.array(numbers, np.int32)[encoded.indices.to_numpy()]
        return codes

    @cached_property
    def _blocks_joined(self) -> dict[str, npt.NDArray[Any]]:
        for name, blocks in self._blocks.items():
            empty = np.zeros((0, 4) if name == "box" else 0, _OF_FACE[name])
            self._blocks[name] = [np.concatenate([empty, *blocks])]
        return {name: blocks[0] for name, blocks in self._blocks.items()}

    @property
    def box(self) -> npt.NDArray[np.float64]:
        """Left, top, right and bottom of each face, (F, 4)."""
        return self._blocks_joined["box"]

    @property
    def bare(self) -> npt.NDArray[np.bool_]:
        """Which faces have no landmarks, (F,)."""
        return self._blocks_joined["bare"]

    @property
    def score(self) -> npt.NDArray[np.float64]:
        """Score of each face by its detector, (F,)."""
        return self._blocks_joined["score"]

    @property
    def detector(self) -> npt.NDArray[np.int8]:
        """What gave each face its box, as a number in `DETECTORS`, (F,)."""
        return self._blocks_joined["detector"]

    @property
    def turn(self) -> npt.NDArray[np.int16]:
        """Degrees clockwise by which each head is turned in its photo, (F,)."""
        return self._blocks_joined["turn"]

    @property
    def landmarks_unsure(self) -> npt.NDArray[np.bool_]:
        """Which faces have landmarks that are probably wrong, (F,)."""
        return self._blocks_joined["landmarks_unsure"]

    @property
    def masked(self) -> npt.NDArray[np.float64]:
        """Share of each face that a mask covers, -1 if no detector of masks ran, (F,)."""
        return self._blocks_joined["masked"]

    def figure(self, name: str) -> npt.NDArray[np.float32]:
        """One of the `FIGURES` of each face, NaN if it is unknown, (F,). Reads the file that holds all."""
        column = FIGURES.index(name)
        chunks = [records.view(np.float32)[:, column].copy() for _, records in self._quality.chunks()]
        return np.concatenate([np.zeros(0, np.float32), *chunks])

    @property
    def heads(self) -> npt.NDArray[np.uint64]:
        """The first 64 bits of each sha256, (N,)."""
        return self.sha256.view(">u8")[:, 0].astype(np.uint64)

    def texts(self, name: str) -> tuple[npt.NDArray[np.int32], list[str]]:
        """Each photo's `code`, `message` or `labels` as a number in a list of texts, whose first is empty; the list."""
        return self._texts[name], self._different_texts

    def unfinished(self, max_pixels: int) -> npt.NDArray[np.integer]:
        """Photos without a final row: also those that were too large for a lower limit of pixels."""
        pixels = self.width.astype(np.int64) * self.height
        large = (self.certainty == _LIMITED) & (pixels > 0) & (pixels <= max_pixels)
        return np.flatnonzero((self.certainty <= _RETRY) | large)

    def row(self, number: int) -> AnalysedPhoto:
        """The analysis of the photo with this number."""
        photo, texts = self.photos[number], self._different_texts
        faces = range(self.first[number], self.first[number] + self.faces[number])
        points = self.landmarks.read(faces.start, faces.stop)
        quality = self._quality.read(faces.start, faces.stop).view(np.float32).tolist()
        code, message, labels = (texts[self._texts[name][number]] for name in _TEXTS)
        sha256 = self.sha256[number]
        return AnalysedPhoto(
            photo_id=photo.photo_id,
            size=photo.size,
            stamp=stamp_of(photo) if self.certainty[number] else "",
            sha256=sha256.tobytes().hex() if sha256.any() else "",
            width=int(self.width[number]),
            height=int(self.height[number]),
            orientation=int(self._orientation[number]),
            faces=tuple(
                FaceRow((x0, y0, x1, y1), b"" if bare else one.tobytes(), score, figures, DETECTORS[by], *rest)
                for one, figures, (x0, y0, x1, y1), score, bare, by, *rest in zip(
                    points,
                    (() if math.isnan(one[0]) else tuple(one) for one in quality),
                    *(self._blocks_joined[name][faces.start : faces.stop].tolist() for name in _OF_FACE),
                    strict=True,
                )
            ),
            code=code,
            message=message,
            given=bool(self._given[number]),
            labels=labels,
        )

    @cached_property
    def _numbers_of_photos(self) -> dict[str, int]:
        return {photo: number for number, photo in enumerate(self.photos.ids().to_pylist())}

    def __getitem__(self, photo_id: str) -> AnalysedPhoto:
        number = self._numbers_of_photos[photo_id]
        if self.certainty[number] < 0:
            raise KeyError(photo_id)
        return self.row(number)

    def __iter__(self) -> Iterator[str]:
        known = zip(self.photos.ids().to_pylist(), self.certainty.tolist(), strict=True)
        return (photo_id for photo_id, certainty in known if certainty >= 0)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.certainty >= 0))


def _equal(texts: Any, others: Any) -> npt.NDArray[np.bool_]:
    import pyarrow as pa
    import pyarrow.compute as pc

    other = others if isinstance(others, str) else others.cast(pa.large_string())
    return np.asarray(pc.equal(texts.cast(pa.large_string()), other).to_numpy(zero_copy_only=False), bool)


def _hashes(texts: list[str], salt: int) -> npt.NDArray[np.int64]:
    """A hash of each text. It differs from run to run, and serves only to find candidates within one."""
    hashes = map(hash, ((salt, text) for text in texts) if salt else texts)
    return np.fromiter(hashes, np.int64, len(texts))


def _sorted_hashes(photos: PhotoTable) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], int]:
    """Hashes of the photo ids in ascending order, the number of each photo, and the salt that makes all differ."""
    for salt in range(_MOST_SALTS):
        keys = np.empty(len(photos), np.int64)
        for start in range(0, len(keys), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(keys)))
            keys[rows] = _hashes(photos.ids(rows).to_pylist(), salt)
        order = np.argsort(keys).astype(np.int32)
        keys = keys[order]
        if not np.any(keys[1:] == keys[:-1]):
            break
    return keys, order, salt
