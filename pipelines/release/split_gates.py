"""Gates on what the splits of a release share, and on the terms of its sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceloom.pipelines.release.near_duplicates import BITS, DISTANCE, Hashed, find_near
from faceloom.pipelines.release.shard_gates import named_examples
from faceloom.schemas.release import GateResult

if TYPE_CHECKING:
    import pyarrow as pa


def identities(table: pa.Table, *, shared: bool) -> GateResult:
    """No person is in two splits.

    Args:
        table: `people` and `split` of all samples.
        shared: whether the recipe asks for people in several splits.
    """
    people, splits = _flat(table, "people")
    count, crossing = _crossing(people, splits)
    figures = {"people": float(count), "in_several_splits": float(len(crossing))}
    if crossing and not shared:
        found = f"{len(crossing):,} of {count:,} people are in several splits: {named_examples(crossing)}"
        found += ". Use `split: {by: identity}`, or `split: {per_identity: 0.7}` if each person shall be in both"
        return GateResult(gate="identities", passed=False, found=found, figures=figures)
    found = f"none of {count:,} people is in two splits"
    if crossing:  # no name here: what has passed is published
        found = (
            f"{len(crossing):,} of {count:,} people are in several splits, as the recipe divides each person's photos"
        )
    return GateResult(gate="identities", passed=True, found=found, figures=figures)


def photos(table: pa.Table) -> GateResult:
    """No photo, by its sha256, is in two splits; the photos of morph parents count.

    Args:
        table: `photo_sha256`, `parents` and `split` of all samples.
    """
    import pyarrow as pa

    parents, of_parents = _parents(table, "photo_sha256")
    hashes = pa.chunked_array([*table["photo_sha256"].chunks, parents], pa.string())
    splits = pa.chunked_array([*table["split"].chunks, of_parents], pa.string())
    count, crossing = _crossing(hashes, splits)
    found = f"none of {count:,} photos is in two splits"
    if crossing:
        found = f"{len(crossing):,} of {count:,} photos are in several splits: {named_examples(crossing)}"
        found += ". Remove the copies from the source, or use `split: {by: identity}`"
    return GateResult(
        gate="photos", passed=not crossing, found=found,
        figures={"photos": count, "in_several_splits": len(crossing)},
    )  # fmt: skip


def morphs(table: pa.Table) -> GateResult:
    """Both parents of each morph have their own samples in the morph's split, if they have any.

    Args:
        table: `people`, `photo_sha256`, `parents` and `split` of all samples.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    is_morph = pc.greater(pc.list_value_length(table["parents"]), 0)
    own = table.filter(pc.invert(is_morph))
    misplaced: list[str] = []
    for field, column in (("photo_sha256", own.select(["photo_sha256", "split"])), ("identity", None)):
        if column is None:
            people, splits = _flat(own, "people")
            column = pa.table({"identity": people, "split": splits})
        homes = column.group_by([field, "split"]).aggregate([])
        parents, of_parents = _parents(table, field)
        wanted = pa.table({field: parents, "split": of_parents}).group_by([field, "split"]).aggregate([])
        elsewhere = wanted.join(homes, [field, "split"], join_type="left anti")
        elsewhere = elsewhere.filter(pc.is_in(elsewhere[field], value_set=pc.unique(homes[field])))
        misplaced += sorted(elsewhere[field].to_pylist())
    count = pc.sum(is_morph).as_py() or 0
    found = f"the parents of all {count:,} morphs are in the splits of the morphs" if count else "it holds no morphs"
    if misplaced:
        found = f"{len(misplaced):,} parents of morphs are in another split: {named_examples(misplaced)}"
    return GateResult(
        gate="morphs", passed=not misplaced, found=found, figures={"morphs": count, "misplaced": len(misplaced)}
    )


def near_duplicates(hashed: Hashed, limit: float) -> GateResult:
    """Few faces resemble one in another split so much that they come from the same photo.

    Args:
        hashed: the faces.
        limit: share of the faces from which on the gate fails.
    """
    found_near = find_near(hashed.hashes, hashed.splits)
    near, count = int(found_near.near.sum()), len(hashed.keys)
    share = near / max(count, 1)
    figures = {"faces": count, "near": near, "share": round(share, 6), "limit": limit, "flat": hashed.flat}
    found = f"{near:,} of {count:,} faces ({share:.2%}) have a near-duplicate in another split; at most {limit:.2%} may"
    if hashed.flat or hashed.without:
        found += f"; {hashed.flat + hashed.without:,} faces without structure or `face` are not compared"
    if failed := share > limit:
        pairs = [f"{hashed.keys[one]} and {hashed.keys[other]}" for one, other in found_near.examples]
        found += f": {named_examples(pairs)}, which differ in at most {DISTANCE} of {BITS} bits of their hashes"
        found += ". Remove the copies from the source, or allow more with `release: {near_duplicates: …}` in the recipe"
    return GateResult(gate="near-duplicates", passed=not failed, found=found, figures=figures)


def licences(table: pa.Table) -> GateResult:
    """Every sample states a licence.

    Args:
        table: `source` and `licence` of all samples.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    stated = pc.greater(pc.utf8_length(pc.utf8_trim_whitespace(pc.fill_null(table["licence"], ""))), 0)
    missing = pa.table({"source": table["source"], "missing": pc.cast(pc.invert(stated), pa.int64())})
    rows = (
        missing.group_by("source").aggregate([("missing", "sum"), ("missing", "count")]).sort_by("source").to_pylist()
    )
    bad = [row for row in rows if row["missing_sum"]]
    found = f"all samples of {len(rows):,} sources state a licence"
    if bad:
        named = [f"{row['missing_sum']:,} of {row['missing_count']:,} samples of {row['source']}" for row in bad]
        found = f"these state no licence: {named_examples(named)}. Add `licence: …` to the source in the recipe, or "
        found += "build with --licence TEXT and --replace: "
        found += "the terms of the photos, such as `CC BY 4.0` or `internal use only, agreed with the photographed`"
    return GateResult(
        gate="licences", passed=not bad, found=found,
        figures={"sources": len(rows), "without": len(bad), "samples_without": sum(row["missing_sum"] for row in bad)},
    )  # fmt: skip


def _flat(table: pa.Table, name: str) -> tuple[pa.Array, pa.Array]:
    """The items of a column of lists, and the split of the row of each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = _whole(table[name])
    split = _whole(table["split"])
    return pc.list_flatten(lists), split.take(pc.cast(pc.list_parent_indices(lists), pa.int64()))


def _parents(table: pa.Table, field: str) -> tuple[pa.Array, pa.Array]:
    """A field of all parents of morphs, and the split of the morph of each."""
    parents, splits = _flat(table, "parents")
    return parents.field(field), splits


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([*column.chunks, pa.array([], column.type)])


def _crossing(values: pa.Array | pa.ChunkedArray, splits: pa.Array | pa.ChunkedArray) -> tuple[int, list[str]]:
    """The number of different values, and those that are in several splits."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.table({"value": values, "split": splits}).group_by("value").aggregate([("split", "count_distinct")])
    return len(table), sorted(table.filter(pc.greater(table["split_count_distinct"], 1))["value"].to_pylist())
