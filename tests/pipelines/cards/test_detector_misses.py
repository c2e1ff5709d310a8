"""Photos without a found face, by group."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.cards.detector_misses import MOST_GROUPS, MOST_VALUES, count_misses
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.photos import Photo, Reject, Scalar
from faceloom.schemas.recipe import parse_recipe


def photo(uri: str, landmarks: bytes | None = None, **attributes: Scalar) -> Photo:
    return Photo("s", uri, None, None, None, None, tuple(sorted(attributes.items())), landmarks, 1, "")


def missed(uri: str, code: str = "no_face") -> Reject:
    return Reject("analyse", "s", uri, code, "")


def test_counts_each_value_of_each_attribute() -> None:
    photos = [photo("a", hat=True, age="old"), photo("b", hat=False, age="old"), photo("c", age="young")]
    found = [(g.attribute, g.value, g.photos, g.missed) for g in count_misses(photos, [missed("a")])]
    assert found == [("age", "old", 2, 1), ("age", "young", 1, 0), ("hat", "False", 1, 0), ("hat", "True", 1, 1)]


def test_other_rejects_and_photos_with_landmarks_do_not_count() -> None:
    photos = [photo("a", hat=1), photo("b", hat=1), photo("c", bytes(544), hat=1)]
    (group,) = count_misses(photos, [missed("a"), missed("b", "truncated")])
    assert (group.photos, group.missed) == (2, 1)
    assert count_misses(photos, [missed("b", "truncated")]) == ()


def test_an_attribute_of_many_values_makes_no_groups() -> None:
    photos = [photo(str(n), age=n, hat=n % 2) for n in range(MOST_VALUES + 5)]
    assert {group.attribute for group in count_misses(photos, [missed("3")])} == {"hat"}


def test_the_list_of_groups_has_an_end() -> None:
    many = replace(photo("a"), attributes=tuple((f"a{n:03d}", "x" * 999) for n in range(500)))
    groups = count_misses([many], [missed("a")])
    assert len(groups) == MOST_GROUPS and len(groups[0].value) == 100


def test_a_build_records_them_and_its_card_shows_them(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(synthetic.encoded(synthetic.picture(96, 96, number)))
    table = tmp_path / "photos.csv"
    table.write_text("uri,identity,hat\n0.png,Ada,yes\n1.png,Ada,no\n2.png,Ada,no\n")
    recipe = parse_recipe(
        {"name": "x", "sources": [{"path": str(table)}], "masks": [{"kind": "polygon", "shape": "A"}]}
    )
    run_build(prepare(recipe, str(tmp_path / "out")), workers=1, resume=True, watcher=Watcher())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| hat | no | 2 | 2 | 100.0 % |" in card and "| hat | yes | 1 | 1 | 100.0 % |" in card
