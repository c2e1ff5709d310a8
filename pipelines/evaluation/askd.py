"""Evaluation of face recognisers at low resolution: verification and identification, at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from faceloom.models.askd.preset import SIDE, SIZES
from faceloom.pipelines.evaluation.figures import Row, row_of
from faceloom.pipelines.evaluation.job_report import Column, JobEvaluation
from faceloom.pipelines.evaluation.job_task import JobTask, has_train, open_runs
from faceloom.pipelines.evaluation.recognition import (
    Floats,
    Numbers,
    Pairs,
    draw_pairs,
    gallery_of,
    ranks_of,
    verified,
)
from faceloom.pipelines.evaluation.tinyface import RANKS, Ranks, TinyFaceTest, open_tinyface, rank_probes
from faceloom.pipelines.read.split_reader import open_split
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.counted import counted
from faceloom.schemas.lowres import LowRes
from faceloom.transforms.lowres.degrade import LowResPicture, degrade, draw
from faceloom.transforms.lowres.sampling import resize
from faceloom.transforms.types import Image

COLUMNS = (Column("accuracy", "accuracy of pairs ↑", 3), Column("rank1", "rank 1 ↑", 3))
"""Share of the pairs that are judged rightly; share of the probes whose nearest gallery picture shows the person."""
MORE_RANKS = (Column("rank5", "rank 5 ↑", 3), Column("rank20", "rank 20 ↑", 3))
"""Of TinyFace: share of the probes for which a right picture is among the 5 or 20 most alike ones."""
MOST_NAMED = 5
"""Files that are left out and named in a note."""
BATCH = 32
BLOCK = 256
"""Pictures whose vectors are in memory at a time."""
PIXELS = "pixels, bicubic"
"""The baseline: cosine of the pixels of small pictures that are enlarged by a bicubic filter, less their mean."""

Recogniser = Callable[[list[Image]], tuple[Floats, Floats]]
"""Vectors of pictures for verification and for identification, each float32 (N, D)."""
Vectors = Callable[[Numbers], tuple[Floats, Floats]]
"""The same by the numbers of pictures."""


def check_askd(task: JobTask) -> None:
    """Check that the split has people enough for pairs, and that TinyFace, if it is given, has its layout.

    Raises:
        FaceloomError: it has not.
    """
    chosen = _people(task)
    draw_pairs([chosen[key] for key in sorted(chosen)])
    if "tinyface" in task.files:
        open_tinyface(task.files["tinyface"])


def evaluate_askd(task: JobTask, watcher: Watcher) -> JobEvaluation:
    """Measure every student and teacher at every size on people who are not in `train`, or on all if there are none.

    Raises:
        CheckpointError: the weights of a network are damaged.
        StorageError: a shard is damaged.
    """
    faces, people = _faces(task)
    pairs, (gallery, probes) = draw_pairs(people), gallery_of(people)
    networks: dict[str, Recogniser] = {}
    for run in open_runs(task):
        networks[run.name] = describer(run.network["student"], task.device)
        if "teacher" in run.network:
            networks[f"{run.name}, teacher"] = describer(run.network["teacher"], task.device)
    found = (
        None if "tinyface" not in task.files else _tinyface(open_tinyface(task.files["tinyface"]), networks, watcher)
    )
    sizes = (*SIZES, SIDE)
    watcher.stage("evaluate", len(sizes) * (len(networks) + 1), "networks at a size")
    tables: dict[str, tuple[Row, ...]] = {}
    both = [frozenset({people[one], people[other]}) for one, other in zip(pairs.first, pairs.second, strict=True)]
    shown = [frozenset({people[one]}) for one in probes]
    done = 0
    for size in sizes:
        rows: list[Row] = []
        for name in (*networks, PIXELS):
            vectors = _small_vectors(faces, size, networks.get(name))
            right = verified(alike_pairs(vectors, pairs), pairs)
            ranks = ranks_in_gallery(vectors, people, gallery, probes)
            figures = row_of(name, {"accuracy": right.astype(float).tolist()}, both).figures
            figures |= row_of(name, {"rank1": (ranks == 1).astype(float).tolist()}, shown).figures
            rows.append(Row(name, len(people), 0, figures))
            done += 1
            watcher.done(done)
        tables[f"{size} pixels"] = tuple(rows)
    notes = {
        "people": f"{len(set(people)):,}" + (", none of them in train" if _none_known(task) else ""),
        "pairs": f"{len(right):,}, half of the same person, {counted(len(np.unique(pairs.fold)), 'fold')} without "
        "common people",
        "identification": f"{counted(len(probes), 'probe')}, {counted(len(gallery), 'picture')} in the gallery, all "
        f"of one size; by chance {1 / len(gallery):.3f}",
    }  # fmt: skip
    if found is None:
        return JobEvaluation(task, COLUMNS, tables, notes=notes)
    notes["TinyFace"] = (
        f"{counted(len(found.probes), 'probe')}, {counted(found.gallery, 'match', 'matches')} and "
        f"{counted(found.distractors, 'distractor')}"
    )
    if found.left_out:
        named = [f"{uri}: {why}" for uri, why in sorted(found.left_out.items())[:MOST_NAMED]]
        notes["TinyFace"] += f"; left out {counted(len(found.left_out), 'file')}, such as {'; '.join(named)}"
    tables["TinyFace"] = _rows(found)
    return JobEvaluation(task, (*COLUMNS, *MORE_RANKS), tables, notes=notes)


def _tinyface(test: TinyFaceTest, networks: Mapping[str, Recogniser], watcher: Watcher) -> Ranks:
    """The ranks of TinyFace's probes, of each network and of pixels."""
    watcher.stage("TinyFace", test.pictures, "pictures")
    describe = {name: partial(_identifying, network) for name, network in networks.items()}
    return rank_probes(test, {**describe, PIXELS: pixels}, watcher.done)


def _rows(found: Ranks) -> tuple[Row, ...]:
    """The table of TinyFace: a row for each network, and one for pixels."""
    shown = [frozenset({photo.identity or ""}) for photo in found.probes]
    values = {
        name: {f"rank{most}": (ranks <= most).astype(float).tolist() for most in RANKS}
        for name, ranks in found.ranks.items()
    }
    return tuple(Row(name, len(shown), 0, row_of(name, of_name, shown).figures) for name, of_name in values.items())


def _identifying(network: Recogniser, pictures: list[Image]) -> Floats:
    return network(pictures)[1]


def _small_vectors(faces: list[Image], size: int, network: Recogniser | None) -> Vectors:
    """Vectors of faces that are reduced to a size: of a network, or of pixels, which are made anew for each request."""
    if network is None:

        def of_pixels(numbers: Numbers) -> tuple[Floats, Floats]:
            mine = pixels([resize(smaller(faces[at], size).native, (SIDE, SIDE), "cubic") for at in numbers.tolist()])
            return mine, mine

        return of_pixels
    found = [
        network([_enlarged(face, size) for face in faces[start : start + BATCH]])
        for start in range(0, len(faces), BATCH)
    ]
    joined, added = (np.concatenate(part) for part in zip(*found, strict=True))
    return lambda numbers: (joined[numbers], added[numbers])


def alike_pairs(vectors: Vectors, pairs: Pairs) -> Floats:
    """Cosine of the two pictures of each pair, a block of pairs at a time."""
    blocks = range(0, len(pairs.first), BLOCK)
    parts = [
        (vectors(pairs.first[start : start + BLOCK])[0] * vectors(pairs.second[start : start + BLOCK])[0]).sum(1)
        for start in blocks
    ]
    return np.concatenate(parts)


def ranks_in_gallery(vectors: Vectors, people: list[str], gallery: Numbers, probes: Numbers) -> Numbers:
    """Rank of each probe in the gallery, as `ranks_of`, a block of probes and of the gallery at a time."""
    shown = [people[one] for one in gallery]
    ranks = []
    for start in range(0, len(probes), BLOCK):
        block = probes[start : start + BLOCK]
        mine = vectors(block)[1]
        others = [gallery[at : at + BLOCK] for at in range(0, len(gallery), BLOCK)]
        alike = np.concatenate([mine @ vectors(other)[1].T for other in others], axis=1)
        ranks.append(ranks_of(alike, [people[one] for one in block], shown))
    return np.concatenate(ranks)


def _people(task: JobTask) -> dict[str, str]:
    """The person in each sample, by key; morphs, and known people beside others, are left out."""
    known = task.known if len(task.known) < len(task.people) else frozenset()
    return {key: next(iter(shown)) for key, shown in task.people.items() if len(shown) == 1 and key not in known}


def _none_known(task: JobTask) -> bool:
    """Whether no network has seen a person of the split; unknown, thus False, for a network of another build."""
    return bool(has_train(task) and not task.known and all(run.own_build for run in task.runs))


def _faces(task: JobTask) -> tuple[list[Image], list[str]]:
    """Faces and their people, in the order of the keys."""
    people = _people(task)
    samples = open_split(task.out, task.protocol.split, members=["face"])
    faces = {sample["__key__"]: sample["face"] for sample in samples if sample["__key__"] in people}
    return [faces[key] for key in sorted(faces)], [people[key] for key in sorted(faces)]


def _enlarged(face: Image, size: int) -> Image:
    upsampled = smaller(face, size).upsampled
    assert upsampled is not None
    return upsampled


def smaller(face: Image, size: int) -> LowResPicture:
    """A face reduced as A-SKD does, and enlarged as its student sees it; at its own size both are the face itself."""
    if size >= len(face):
        return LowResPicture(face, face)
    drawn = draw(LowRes(mode="askd", sizes=(size,)), (face.shape[1], face.shape[0]), np.random.default_rng(0))
    return degrade(face, drawn, upsampled=True)


def describer(network: Any, device: str) -> Recogniser:
    """A network as a function of pictures.

    For verification the features of a picture and of its mirror image are joined, for identification they are added,
    as published. All vectors have length 1.
    """
    import torch

    from faceloom.models.askd.networks import as_input

    def describe(pictures: list[Image]) -> tuple[Floats, Floats]:
        joined, added = [], []
        for start in range(0, len(pictures), BATCH):
            batch = torch.from_numpy(np.stack(pictures[start : start + BATCH])).to(device)
            given = as_input(batch.permute(0, 3, 1, 2).float() / 255)
            with torch.inference_mode():
                one, other = network(given).features, network(given.flip(3)).features
            joined.append(torch.cat([one, other], 1).float().cpu().numpy())
            added.append((one + other).float().cpu().numpy())
        return unit(np.concatenate(joined)), unit(np.concatenate(added))

    return describe


def pixels(pictures: list[Image]) -> Floats:
    """Pixels less their mean, as vectors of length 1."""
    rows = np.stack(pictures).reshape(len(pictures), -1).astype(np.float32)
    return unit(rows - rows.mean(1, keepdims=True))


def unit(rows: Floats) -> Floats:
    """Vectors scaled to length 1; a vector of zeros stays."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
