"""A build whose people and sources have the names that strangers give."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.recipe import parse_recipe

NAMES = ("</script><script>document.title='owned'</script>", "\"><img src=x onerror=\"document.title='owned'\">",
         "Ada\u202egpj.exe", "Zoë Ünal", "'; DROP TABLE", "<!-- & --!>")  # fmt: skip


@pytest.fixture(scope="session")
def strange_build(tmp_path_factory: pytest.TempPathFactory, synthetic: SimpleNamespace) -> Path:
    """24 samples of six people with strange names, in two splits, with two masks and a guide; two rejected photos."""
    root = tmp_path_factory.mktemp("strange")
    (root / "photos").mkdir()
    with (root / "photos" / "photos.csv").open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream)
        lines.writerow(["uri", "identity", "landmarks", "licence"])
        for number in range(12):
            uri = f"{number:02d}.png"
            points = synthetic.landmarks((48 + number % 3, 46), 32)
            (root / "photos" / uri).write_bytes(synthetic.encoded(synthetic.picture(96, 112, number)))
            lines.writerow([uri, NAMES[number % 6], json.dumps(points.tolist()), "<b>CC0</b>"])
        (root / "photos" / "flat.png").write_bytes(synthetic.encoded(synthetic.picture(96, 112, 77)))
        lines.writerow(["flat.png", "Nobody", json.dumps([[50.0, 50.0]] * 68), ""])
        lines.writerow(["gone.png", "Nobody", "", ""])
    recipe = {
        "name": "strange-names", "sources": [{"path": str(root / "photos" / "photos.csv"), "name": "<i>photos"}],
        "faces": {"min_size": 0}, "per_face": 2, "split": {"per_identity": 0.5},
        "output": {"image": "png", "alpha": True},
        "guide": {"parts": ["mouth"], "missing": "landmarks"}, "align": {"mode": "eye_level", "size": 64},
        "masks": [{"kind": "template", "template": "surgical"}, {"kind": "polygon", "shape": "A", "colour": "black"}],
    }  # fmt: skip
    run_build(prepare(parse_recipe(recipe), str(root / "out")), workers=1, resume=True, watcher=Watcher())
    return root / "out"
