from __future__ import annotations

from faceloom.schemas.guide import PARTS
from faceloom.schemas.labels import LabelFiles


def test_the_digest_tells_every_difference() -> None:
    files = [
        LabelFiles("parts", (), (("nose", b"a"), ("skin", b"b"))),
        LabelFiles("parts", (), (("nose", b"a"), ("skin", b"c"))),
        LabelFiles("parts", (), (("nose", b"a"), ("hair", b"b"))),
        LabelFiles("parts", (), (("nose", b"a"),)),
        LabelFiles("parts", (), (("nose", b"ab"), ("skin", b""))),
        LabelFiles("celebamask_hq", PARTS, (("", b"a"),)),
        LabelFiles("given", PARTS[::-1], (("", b"a"),)),
    ]
    assert len({one.sha256 for one in files}) == len(files)


def test_the_digest_is_of_what_samples_record_too() -> None:
    assert LabelFiles("given", PARTS, (("", b"a"),)).sha256 != LabelFiles("celebamask_hq", PARTS, (("", b"a"),)).sha256
    assert len(LabelFiles("parts", (), ()).sha256) == 64
