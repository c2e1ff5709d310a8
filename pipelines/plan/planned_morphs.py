"""Morphs of planned faces as columns: a million faces have ten million morphs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from faceloom.pipelines.plan.face_records import face_json, figures_json, five_digits, number_json, text_json
from faceloom.pipelines.plan.planned_faces import FaceTable, Ints, Rows
from faceloom.pipelines.store.arrow_values import values_at
from faceloom.schemas.keys import to_json
from faceloom.schemas.plan import PlannedMorph

FIGURES = ("distance", "landmark_distance", "texture_distance", "shape_weight", "texture_weight")
_OF_NEIGHBOUR = ("box", "consent", "face", "height", "identity", "landmarks", "licence", "photo_sha256", "source",
                 "uri", "width")  # fmt: skip
"""Fields of the neighbour in the digest of a morph."""


@dataclass(frozen=True, eq=False, slots=True)
class MorphColumns:
    """The M morphs among the F rows of a table.

    Attributes:
        base: the faces, without morphs.
        number: int32 (F,), number of the morph of each row, -1 for the faces themselves.
        other: int32 (M,), row of the neighbour in `base`.
        rank: int32 (M,).
        figures: float64 by name, (M,); names are `FIGURES`.
    """

    base: FaceTable
    number: Ints
    other: Ints
    rank: Ints
    figures: dict[str, npt.NDArray[np.float64]]

    def objects(self, at: Rows) -> list[PlannedMorph | None]:
        """The neighbour of each of some rows, None for the faces themselves."""
        numbers = self._numbers(at)
        others, ranks = self.base.make(self.other[numbers]), self.rank[numbers].tolist()
        figures = (self.figures[name][numbers].tolist() for name in FIGURES)
        found = map(PlannedMorph, others, ranks, *figures)
        return [next(found) if one >= 0 else None for one in self.number[at].tolist()]

    def structs(self, at: Rows) -> Any:
        """The neighbour of each of some rows as the column `morph` of plan rows; null for the faces themselves."""
        import pyarrow as pa

        numbers = self._numbers(at)
        neighbours = self.base.columns(self.other[numbers])
        del neighbours["morph"]
        arrays = [one if isinstance(one, pa.Array) else pa.array(one) for one in neighbours.values()]
        values = {
            "other": pa.StructArray.from_arrays(arrays, list(neighbours)),
            "rank": pa.array(self.rank[numbers].astype(np.int64)),
            **{name: pa.array(self.figures[name][numbers]) for name in FIGURES},
        }
        names = [field.name for field in fields(PlannedMorph)]
        return self._spread(pa.StructArray.from_arrays([values[name] for name in names], names), at)

    def records(self, at: Rows) -> Any:
        """The neighbour of each of some rows as JSON in UTF-8, as the digest of its samples needs it, and `null` for
        the faces themselves; a pyarrow array of bytes."""
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = self._numbers(at)
        if not len(numbers):
            return b"null"
        others, base = self.other[numbers], self.base
        found = face_json(base, others)
        values = {name: found[name] for name in _OF_NEIGHBOUR}
        values |= {name: figures_json(self.figures[name][numbers]) for name in FIGURES}
        values |= {"key": text_json(base.keys(others)), "rank": number_json(self.rank[numbers])}
        items = {name: pc.binary_join_element_wise(f'"{name}":'.encode(), one, b"") for name, one in values.items()}
        # Five points and a turn are stated only where there are some.
        five, turn = base.five[others], base.findings(others)["turn"]
        begins = {
            "height": values_at(lambda one: f'"five":"{five_digits(base, one)}",'.encode() if one >= 0 else b"", five),
            "uri": values_at(lambda one: f'"turn":{one},'.encode() if one else b"", turn),
        }
        items |= {name: pc.binary_join_element_wise(begin, items[name], b"") for name, begin in begins.items()}
        inside = pc.binary_join_element_wise(*(items[name] for name in sorted(items)), b",")
        whole = pc.binary_join_element_wise(b"{", inside, b"}", b"")
        return self._spread(whole, at).fill_null(pa.scalar(to_json(None).encode()))

    def identities(self, at: Rows, own: Any) -> Any:
        """Names of some rows: of a morph those of both people. `own` are those of the faces."""
        return self._both(at, own, self.base.identities(self.other[self._numbers(at)]), "+", None)

    def terms(self, name: str, at: Rows, own: Any) -> Any:
        """Licence or consent of some rows: of a morph those of both people. `own` are those of the faces."""
        others = self.base.terms(name, self.other[self._numbers(at)])
        return self._both(at, own, others, " + ", "not stated")

    def _both(self, at: Rows, own: Any, others: Any, between: str, unstated: str | None) -> Any:
        """Texts of both faces of each morph; one text where they agree."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not len(others):
            return own
        mixed = pa.array(self.number[at] >= 0)
        first = own.filter(mixed)
        same = pc.fill_null(pc.equal(first, others), False)
        if unstated is not None:
            same = pc.or_(same, pc.and_(first.is_null(), others.is_null()))
        whole = [
            one if unstated is None else pc.if_else(pc.equal(one.fill_null(""), ""), unstated, one)
            for one in (first, others)
        ]
        return pc.replace_with_mask(own, mixed, pc.if_else(same, first, pc.binary_join_element_wise(*whole, between)))

    def _numbers(self, at: Rows) -> Ints:
        numbers = self.number[at]
        return numbers[numbers >= 0]

    def _spread(self, values: Any, at: Rows) -> Any:
        """The values of the morphs among some rows, and nulls for the other rows."""
        import pyarrow as pa

        mixed = self.number[at] >= 0
        return values.take(pa.array(np.cumsum(mixed) - 1, mask=~mixed))
