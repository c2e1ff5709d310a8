"""Names that are hardly those of people."""

from __future__ import annotations

from dataclasses import replace

from faceloom.pipelines.analyse.odd_people import odd_people
from faceloom.pipelines.analyse.photo_table import PhotoTable
from faceloom.schemas.photos import GivenFace, Photo


def warned(counts: dict[str | None, int], source: str = "s") -> tuple[str, ...]:
    names = [name for name, count in counts.items() for _ in range(count)]
    return odd_people(PhotoTable.of(_photo(n, name, source) for n, name in enumerate(names)))


def _photo(number: int, name: str | None, source: str) -> Photo:
    return Photo(source, f"{number}.jpg", name, None, None, None, (), None, 9, "t")


def test_splits_are_named() -> None:
    (warning,) = warned({"train": 2, "Val": 2, "Ann": 2})
    assert warning.startswith("source s: Val, train is the name of a split") and "`parent`" in warning


def test_people_with_a_fifth_of_the_photos_are_named() -> None:
    others: dict[str | None, int] = {f"p{n}": 8 for n in range(9)}
    assert not warned({**others, "Ann": 18}), "a fifth, and not more"
    (warning,) = warned({**others, "Ann": 19})
    assert warning.startswith("source s: Ann has 19 of 91 photos. ")
    assert not warned({**others, None: 90}), "no person"


def test_a_single_person_is_named_and_few_people_are_compared_with_each_other() -> None:
    assert "set has 9 of 9 photos" in warned({"set": 9})[0]
    assert not warned({"Ann": 3, "Bob": 4}) and not warned({"Ann": 3, "Bob": 3, "Cid": 3}) and not warned({"Ann": 5})
    assert "Ann has 20 of 23 photos" in warned({"Ann": 20, "Bob": 2, "Cid": 1})[0]


def test_each_source_is_looked_at_alone() -> None:
    photos = [_photo(n, "Ann" if n < 10 else f"p{n}", "one") for n in range(40)]
    photos += [_photo(n, f"p{n}", "two") for n in range(400)]
    (warning,) = odd_people(PhotoTable.of(photos))
    assert warning.startswith("source one: Ann has 10 of 40")
    assert not odd_people(PhotoTable.of([]))


def test_everyone_in_a_group_photo_counts() -> None:
    photos = [_photo(n, f"p{n % 8}", "s") for n in range(20)]
    box = (0.0, 0.0, 9.0, 9.0)
    for number in range(10):
        faces = tuple(GivenFace(name, (), box, None) for name in (f"p{number % 8}", "Zoe", "Zoe", None))
        photos[number] = replace(photos[number], faces=faces)
    (warning,) = odd_people(PhotoTable.of(photos))
    assert warning.startswith("source s: Zoe has 10 of 20 photos. ")
