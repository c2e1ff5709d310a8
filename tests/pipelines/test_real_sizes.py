from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.pipelines.real_sizes import real_heights
from faceloom.schemas.errors import RecipeError


def test_heights_of_a_folder_of_pictures(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    for name, width, height in (("a/1.png", 20, 30), ("2.png", 24, 18), ("a/b/3.png", 9, 30), ("tiny.png", 3, 3)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(synthetic.encoded(synthetic.picture(width, height)))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("99")
    assert real_heights(str(tmp_path)) == (18, 30, 30)


def test_heights_of_a_list(tmp_path: Path) -> None:
    file = tmp_path / "sizes.txt"
    file.write_text("# of TinyFace\n24\n\n20x26\n 18 # small\n32X16\n24\n2\n")
    assert real_heights(str(file)) == (16, 18, 24, 24, 26)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("24\ntall\n", "line 2 is no height"),
        ("-4\n", "line 1 is no height"),
        ("", "no sizes there"),
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
