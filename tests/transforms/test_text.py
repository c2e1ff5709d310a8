"""Text on pictures: inside its room, in its colour, and in letters instead of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.transforms import text as module
from faceloom.transforms.text import draw_text

Picture = NDArray[np.uint8]


def white(height: int = 30, width: int = 300) -> Picture:
    return np.full((height, width, 3), 255, np.uint8)


def drawn(text: str, width: int | None = None, size: int = 14) -> Picture:
    picture = white()
    draw_text(picture, text, (10, 4), size=size, width=width)
    return picture


def inked(picture: Picture) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is not white."""
    rows, columns = np.nonzero((picture < 255).any(2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_text_begins_at_its_origin_and_is_as_high_as_its_font() -> None:
    left, top, _, bottom = inked(drawn("Hg"))
    assert 10 <= left <= 13 and 4 <= top <= 9 and 12 <= bottom - top <= 17


def test_a_larger_size_draws_larger_letters() -> None:
    small, large = inked(drawn("Hg", size=10)), inked(drawn("Hg", size=20))
    assert large[2] - large[0] > 1.7 * (small[2] - small[0])


def test_text_has_the_colour_that_is_asked_for() -> None:
    picture = np.zeros((30, 300, 3), np.uint8)
    draw_text(picture, "HHHH", (0, 0), size=20, colour=(255, 128, 0))
    assert (picture == (255, 128, 0)).all(2).any() and not picture[..., 2].any()


@pytest.mark.parametrize("text", ["no", "José Ñuñez", "Nguyễn Thị Hương", "Дмитрий", "Γιώργος", "אברהם", "محمد"])
def test_names_of_many_languages_are_drawn_in_letters(text: str) -> None:
    pytest.importorskip("matplotlib")
    assert module._missing(text, module._font_for(text, 14)) == 0


def test_letters_that_a_font_lacks_are_seen() -> None:
    from PIL import ImageFont

    own = ImageFont.load_default(14)
    assert module._missing("plain ASCII", own) == 0
    assert module._missing("Дмитрий", own) == len(set("Дмитрий"))


def test_without_any_font_that_has_the_letters_the_one_that_lacks_the_fewest_is_taken() -> None:
    letters = "ab\U0010fffd"
    assert module._missing(letters, module._font_for(letters, 14)) == 1


def test_pillows_own_font_is_taken_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_matplotlib_font", list)
    monkeypatch.setattr(module, "SYSTEM_FONTS", ("no such font.ttf",))
    assert inked(drawn("a name"))[2] > 30


def test_what_does_not_fit_ends_in_an_ellipsis() -> None:
    long, short = drawn("a name that is too long", width=60), drawn("a name", width=60)
    assert inked(long)[2] <= 70 and inked(short)[2] < 70
    font = module._font_for("a", 14)
    assert module._cut("a name", font, 60) == "a name"
    assert module._cut("a name that is too long", font, 60) == "a nam…"


def test_without_a_width_the_picture_is_the_room() -> None:
    assert np.array_equal(drawn("long " * 100), drawn("long " * 100, width=290))


@given(st.text(max_size=40), st.integers(0, 320), st.integers(0, 40), st.integers(-5, 400))
def test_nothing_is_drawn_outside_the_room(text: str, left: int, top: int, width: int) -> None:
    picture = white()
    draw_text(picture, text, (left, top), width=width)
    outside = np.ones(picture.shape[:2], bool)
    outside[top:, left : left + max(0, width)] = False
    assert (picture[outside] == 255).all()


@pytest.mark.parametrize("text", ["two\nlines", "two\tlines", "two\ud800lines", "two\x00lines"])
def test_control_characters_are_spaces(text: str) -> None:
    assert np.array_equal(drawn(text), drawn("two lines"))


def test_a_part_of_a_larger_picture_is_drawn_on_in_place() -> None:
    picture = white(60, 400)
    draw_text(picture[30:, 100:], "name", (0, 0))
    left, top, _, _ = inked(picture)
    assert left >= 100 and top >= 30
