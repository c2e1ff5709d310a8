"""Time of a plan: synthetic face rows through choosing, splitting and laying into shards and parts.

    python benchmarks/plan.py [--faces 200000]

Rows are like those of analysis: five photos per person on average, 68 landmarks each, two masks to draw from and two
variants of each face. The benchmark reads no photo and writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import time

import numpy as np

from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.shard_layout import make_plan
from faceloom.pipelines.render.mask_painter import mask_digests
from faceloom.schemas.faces import AnalysedPhoto, FaceRow
from faceloom.schemas.photos import Photo
from faceloom.schemas.recipe import parse_recipe

RECIPE = {
    "name": "plan",
    "per_face": 2,
    "masks": [{"kind": "polygon", "shape": "A"}, {"kind": "polygon", "shape": "C", "weight": 2.0}],
    "split": {"shares": {"train": 0.8, "val": 0.1, "test": 0.1}},
}
LIMIT = 60


def rows(count: int) -> tuple[list[Photo], dict[str, AnalysedPhoto]]:
    """Photos and what analysis found in them."""
    rng = np.random.default_rng(0)
    people = rng.integers(0, max(1, count // 5), count).tolist()
    base = (rng.random((68, 2)) * 200).astype(np.float32)
    photos, found = [], {}
    for number, person in enumerate(people):
        uri = f"{person:06d}/{number:08d}.jpg"
        photo = Photo("made-up", uri, f"person {person}", None, "CC0", None, (), None, 1, "")
        points = base + rng.normal(size=(68, 2)).astype(np.float32)
        low, high = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        face = FaceRow((*low, *high), points.tobytes(), 1.0, ())
        sha256 = hashlib.sha256(uri.encode()).hexdigest()
        photos.append(photo)
        found[photo.photo_id] = AnalysedPhoto(photo.photo_id, 1, "", sha256, 250, 250, 1, (face,))
    return photos, found


def main() -> None:
    """Print seconds of both steps."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=200_000)
    count = parser.parse_args().faces
    recipe = parse_recipe(RECIPE)
    photos, found = rows(count)
    digests = mask_digests(recipe)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, spent = time.perf_counter(), time.process_time()
    choice = choose_faces(recipe, photos, found)
    chosen = time.process_time()
    plan = make_plan(recipe, choice, digests)
    planned, passed = time.process_time(), time.perf_counter() - start
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    parts = sum(len(shard.parts) for shard in plan.shards)
    print(f"{count} face rows, {plan.samples} samples in {len(plan.shards)} shards and {parts} parts, load "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"  choose {chosen - spent:6.1f} s processor")
    print(f"  plan   {planned - chosen:6.1f} s processor")
    print(f"  both   {planned - spent:6.1f} s processor, {passed:6.1f} s wall, limit {LIMIT} s, {memory:.0f} MB more")


if __name__ == "__main__":
    main()
