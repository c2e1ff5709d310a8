"""The command line with photos in one store and the output in another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from faceloom.pipelines.store.storage import Storage
from tests.object_stores import gcs_server, s3_server


def digests(storage: Storage) -> dict[str, str]:
    kept = [path for path in storage.list() if not path.startswith(("logs/", "faces/", ".lock"))]
    return {path: hashlib.sha256(storage.read_bytes(path)).hexdigest() for path in kept}


@pytest.mark.slow
def test_photos_of_one_store_become_samples_in_another(photos: Path, recipe: Path, run: Any, built: Any) -> None:
    with s3_server() as bucket, gcs_server() as other:
        source, out = Storage(f"{bucket}/{photos.name}"), f"{other}/out"
        for file in photos.rglob("*"):
            if file.is_file():
                with source.write(file.relative_to(photos).as_posix()) as stream:
                    stream.write(file.read_bytes())
        done = run("build", recipe, "--source", source.root, "--out", out, workers=2)
        assert done.code == 0, done.err
        assert digests(Storage(out)) == digests(Storage(str(built.out)))
        assert run("verify", out).code == 0 and run("show", out, "--rejects").code == 0
        refused = run("build", recipe, "--source", source.root, "--out", f"{source.root}/out")
        assert refused.code == 2 and "lies inside this source" in refused.err
