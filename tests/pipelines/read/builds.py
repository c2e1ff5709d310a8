"""Tiny finished builds to read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceloom.pipelines.store.build_record import RECORD_FORMAT, BuildRecord, ShardRecord, shard_record, write_record
from faceloom.pipelines.store.parquet_tables import write_index
from faceloom.pipelines.store.paths import shard_index, shard_tar
from faceloom.pipelines.store.storage import Storage
from faceloom.pipelines.store.tar_writer import END, append_sample, sample_length
from faceloom.schemas.index import IndexRow
from faceloom.transforms.sample.encode import encode, npy

SIDE = 16


def sample_files(number: int) -> list[tuple[str, bytes]]:
    """Members of a tiny sample that tells its number: in the red of the face, in the landmarks and in the record."""
    face = np.zeros((SIDE, SIDE, 3), np.uint8)
    face[..., 0] = number
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[SIDE // 2 :] = 255
    landmarks = np.full((68, 2), number, np.float32)
    record = {"key": f"k{number}", "identity": f"p{number % 3}", "licence": None}
    return [
        ("alpha.png", encode(mask // 2, "png", 100)),
        ("face.png", encode(face, "png", 100)),
        ("json", json.dumps(record).encode()),
        ("landmarks.npy", npy(landmarks)),
        ("mask.png", encode(mask, "png", 100)),
        ("masked.png", encode(255 - face, "png", 100)),
    ]


def make_build(root: Path, shards: Sequence[tuple[str, int]], without_landmarks: Sequence[int] = ()) -> Path:
    """A finished build of shards (split, number of samples), written as the pipeline writes them.

    Some samples, given by number, have no landmarks.
    """
    storage, records, number = Storage(str(root)), [], 0
    for place, (split, samples) in enumerate(shards):
        name, rows, offset = f"{split}-{place:03b}-{'ab' * 6}", [], 0
        with storage.write(shard_tar(name)) as stream:
            for _ in range(samples):
                key = f"{number:04d}-f00-m000"
                files = sample_files(number)
                if number in without_landmarks:
                    files = [file for file in files if file[0] != "landmarks.npy"]
                members = append_sample(stream, offset, key, files)
                length = sample_length(members)
                rows.append(
                    IndexRow(
                        key, "p", split, "part", "ab" * 12, offset, length, members, "", "s", "u", f"{number:064x}", 0,
                        ("p",), (), "[]", "1", None, None,
                    )
                )  # fmt: skip
                offset += length
                number += 1
            stream.write(END)
        sha256 = hashlib.sha256(storage.read_bytes(shard_tar(name))).hexdigest()
        write_index(storage, shard_index(name), rows, {"part": []}, length=offset + len(END), sha256=sha256)
        records.append(shard_record(storage, name, split, samples))
    by_split: Counter[str] = Counter()
    for split, samples in shards:
        by_split[split] += samples
    record = BuildRecord(
        format=RECORD_FORMAT, code="1", libraries={}, recipe={"name": "x"},
        plan="0" * 64, analyser="1", renderer="1", photos=number, faces=number, planned=number,
        written=number, rejects={}, by_split=dict(by_split), by_mask={"m": number}, by_source={"s": number},
        shards=tuple(records),
    )  # fmt: skip
    write_record(storage, record)
    return root


def a_shard(name: str, samples: int, split: str = "train") -> ShardRecord:
    """What a record lists of a shard that does not exist."""
    return ShardRecord(
        name=name, split=split, samples=samples, bytes=0, sha256="0" * 64, index_bytes=0, index_sha256="0" * 64
    )
