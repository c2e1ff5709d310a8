"""Options of an export that cannot be, or do not fit each other, are refused with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from faceloom.pipelines.export.export_options import LAYOUTS, ExportOptions
from faceloom.schemas.errors import FaceloomError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "lmdb"}, r"got lmdb.*folder, imagefolder, recordio"),
        ({"pictures": ("face",)}, r"all pictures of a sample \(got face\).*--layout imagefolder"),
        ({"layout": "imagefolder", "pictures": ("face", "masked")}, r"one picture per sample \(got face,masked\)"),
        ({"layout": "imagefolder", "names": "uri"}, r"got uri.*key, source"),
        ({"layout": "recordio", "names": "source"}, r"--names fits --layout imagefolder only \(got recordio\)"),
        ({"labels": "source"}, "--labels fits --layout recordio only"),
        ({"layout": "imagefolder", "mix": 0.5}, "--mix fits --layout recordio only"),
        ({"layout": "recordio", "pictures": ("face", "face")}, "named twice"),
        ({"layout": "recordio", "pictures": ("",)}, "named twice or not at all"),
        *(
            ({"layout": "recordio", "pictures": ("face", "masked"), "mix": mix}, "between 0 and 1")
            for mix in (0, 1, -1)
        ),
        ({"layout": "recordio", "pictures": ("face", "masked"), "mix": float("nan")}, "between 0 and 1"),
        ({"layout": "recordio", "pictures": ("face",), "mix": 0.5}, "two pictures"),
        ({"layout": "recordio", "mix": 0.5}, "two pictures"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(FaceloomError, match=message):
        ExportOptions(**options)


def test_exports_that_would_mix_files_have_different_descriptions() -> None:
    texts = [ExportOptions(layout=layout).description for layout in LAYOUTS]
    texts += [ExportOptions(layout="imagefolder", names="source").description]
    texts += [ExportOptions(layout="imagefolder", pictures=("face",)).description]
    assert len(set(texts)) == len(LAYOUTS) + 2
    mixed = ExportOptions(layout="recordio", pictures=("face", "masked"), mix=0.5, labels="renumber", split="train")
    assert mixed.description == "recordio", "all its files are written anew"
