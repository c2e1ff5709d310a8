"""Makes morphs.jpg of two builds of the portraits with morphs: `python morphs.py TARGET GRADIENT PICTURE`."""

import sys
from pathlib import Path

import cv2
import numpy as np

from faceloom.pipelines.export.contact_sheet import load_members
from faceloom.pipelines.store.build_record import read_record
from faceloom.pipelines.store.parquet_tables import read_index
from faceloom.pipelines.store.paths import shard_index
from faceloom.pipelines.store.storage import Storage

GAP = 6


def faces(out: str) -> dict[str, np.ndarray]:
    """The face of each sample of a build, uint8 (H, W, 3) RGB, by its identity."""
    storage = Storage(out)
    return {
        row.identity: load_members(storage, shard.name, row)["face"]
        for shard in read_record(storage).shards
        for row in read_index(storage, shard_index(shard.name))
    }


def main(target: str, gradient: str, picture: str) -> None:
    """Of either portrait a row: itself, the other, and their morph on both backgrounds."""
    plain, smooth = faces(target), faces(gradient)
    rows = []
    for one, other in (("Grace_Hopper", "Eileen_Collins"), ("Eileen_Collins", "Grace_Hopper")):
        mixed = f"{one}+{other}"
        cells = [
            np.pad(face, ((0, GAP), (0, GAP), (0, 0)), constant_values=255)
            for face in (plain[one], plain[other], plain[mixed], smooth[mixed])
        ]
        rows.append(np.hstack(cells))
    sheet = np.vstack(rows)[:-GAP, :-GAP, ::-1]
    Path(picture).write_bytes(cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
