from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from faceloom.pipelines.render import real_sizes
from faceloom.pipelines.render.real_sizes import MOST_BYTES, count_heights, expand_heights, real_heights
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms import decode


def test_heights_of_a_folder_of_pictures(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    for name, width, height in (("a/1.png", 20, 30), ("2.png", 24, 18), ("a/b/3.png", 9, 30), ("tiny.png", 3, 3)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(synthetic.encoded(synthetic.picture(width, height)))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("99")
    assert real_heights(str(tmp_path)) == (18, 30, 30)


def test_only_the_beginnings_of_pictures_are_read(
    tmp_path: Path, synthetic: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(256, size=(300, 400, 3), dtype=np.uint8)
    for ending in (".png", ".jpg", ".bmp"):
        data = synthetic.encoded(noise, ending)
        assert len(data) > 65536
        (tmp_path / f"long{ending}").write_bytes(data)
    # Its header lies behind more words than are read at first.
    words = b"\xff\xfe\xff\xfe" + b" " * 65532
    jpeg = synthetic.encoded(synthetic.picture(40, 50), ".jpg")
    (tmp_path / "late.jpg").write_bytes(jpeg[:2] + 2 * words + jpeg[2:])
    given = []

    def read(data: bytes) -> tuple[int, int]:
        given.append(len(data))
        return decode.read_size(data)

    monkeypatch.setattr(real_sizes, "read_size", read)
    assert real_heights(str(tmp_path)) == (50, 300, 300, 300)
    assert sorted(given) == [*[65536] * 4, len(jpeg) + 2 * len(words)]


def test_heights_travel_as_numbers_of_each(tmp_path: Path) -> None:
    file = tmp_path / "sizes.txt"
    file.write_text("24\n16\n24\n")
    how = parse_recipe({"name": "x", "lowres": {"sizes_from": str(file)}})
    assert count_heights(how) == ((16, 1), (24, 2))
    assert expand_heights(count_heights(how)) == real_heights(str(file))
    assert count_heights(parse_recipe({"name": "x", "lowres": {}})) == count_heights(parse_recipe({"name": "x"})) == ()
    file.write_text("20\n")
    assert count_heights(how) == ((20, 1),), "read anew by each build"


def test_heights_of_a_list(tmp_path: Path) -> None:
    file = tmp_path / "sizes.txt"
    file.write_text("# of TinyFace\n24\n\n20x26\n 18 # small\n32X16\n24\n2\n")
    assert real_heights(str(file)) == (16, 18, 24, 24, 26)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("24\ntall\n", "line 2 is not a height"),
        ("-4\n", "line 1 is not a height"),
        ("", "no sizes found"),
        ("2\n3\n", "no sizes"),
    ],
)
def test_a_wrong_list_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sizes.txt").write_text(text)
    with pytest.raises(RecipeError, match=message) as caught:
        real_heights(str(tmp_path / "sizes.txt"))
    assert caught.value.where.startswith("$.lowres.sizes_from")


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        real_heights(str(tmp_path / "nothing.txt"))
    with pytest.raises(RecipeError, match="no sizes"):
        real_heights(str(tmp_path))


def test_pipes_devices_long_files_and_long_numbers_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "long").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    (tmp_path / "number").write_text("9" * 5000)
    (tmp_path / "bytes").write_bytes(b"\xff")
    for path in ("pipe", "/dev/zero", "long", "number", "bytes", "x" * 300, "~no-such-user/x"):
        with pytest.raises(RecipeError, match=r"cannot be read|is not a height") as caught:
            real_heights(str(tmp_path / path))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 800
