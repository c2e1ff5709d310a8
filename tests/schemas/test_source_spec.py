from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faceloom.schemas.guide import LABEL_ORDERS
from faceloom.schemas.source_spec import SourceSpec, is_pattern


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("photos", "photos"),
        ("photos/", "photos"),
        ("a/b/../lfw", "lfw"),
        ("a/faces.csv", "faces.csv"),
        ("sets/train-{0000..0041}.tar", "sets"),
        ("sets/{a,b}/*.tar", "sets"),
        ("/", "photos"),
    ],
)
def test_the_name_comes_from_the_path(path: str, name: str) -> None:
    assert SourceSpec(path=path).source_name == name


def test_the_working_directory_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lfw").mkdir()
    monkeypatch.chdir(tmp_path / "lfw")
    assert SourceSpec(path=".").source_name == "lfw"


def test_a_folder_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "photos [2020]").mkdir()
    assert SourceSpec(path=str(tmp_path / "photos [2020]")).source_name == "photos [2020]"


def test_a_given_name_wins() -> None:
    assert SourceSpec(path="photos", name="mine").source_name == "mine"


@pytest.mark.parametrize("name", ["", "a/b", "a\nb"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValidationError, match="printable"):
        SourceSpec(path="photos", name=name)


def test_a_name_is_short() -> None:
    assert SourceSpec(path="photos", name="x" * 200).source_name == "x" * 200
    with pytest.raises(ValidationError, match="at most 200 characters"):
        SourceSpec(path="photos", name="x" * 201)


def test_a_list_of_columns_is_short_for_those_that_become_attributes() -> None:
    spec = SourceSpec.model_validate({"path": "t.csv", "columns": ["age", "note"]})
    assert spec == SourceSpec.model_validate({"path": "t.csv", "columns": {"others": ["age", "note"]}})
    again = SourceSpec.model_validate_json(spec.model_dump_json(exclude_unset=True))
    assert again == spec and again.columns.model_fields_set == {"others"}
    assert SourceSpec(path="t.csv").model_dump(exclude_unset=True) == {"path": "t.csv"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": ""},
        {"path": "a", "kind": "zip"},
        {"path": "a", "colour": 1},
        {"path": "a", "columns": {"who": "x"}},
        {},
    ],
)
def test_wrong_specs_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourceSpec.model_validate(wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "path_pattern"}, "`kind: path_pattern` and a key `pattern` belong together"),
        ({"pattern": "{identity}.jpg"}, "`kind: path_pattern` and a key `pattern` belong together"),
        ({"kind": "path_pattern", "pattern": "{identity"}, "stands alone"),
        ({"kind": "label_maps"}, "`kind: label_maps` and a key `labels` belong together"),
        ({"kind": "flat", "labels": "masks"}, "`kind: label_maps` and a key `labels` belong together"),
        ({"kind": "flat", "identity": "parent"}, "`kind: people` and a key `identity` belong together"),
        ({"identity": "folder"}, "with a group"),
        ({"identity": "folder 0"}, "with a group"),
        ({"identity": "(("}, "nor a regular expression"),
        ({"label_order": "face_parsing"}, "`kind: label_maps` and a key `label_order` belong together"),
        ({"kind": "label_maps", "labels": "m", "label_order": "mine"}, "face_parsing"),
        ({"kind": "label_maps", "labels": "m", "label_order": ["beard"]}, "at least one of skin"),
    ],
)
def test_keys_belong_to_their_kind(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SourceSpec.model_validate({"path": "a", **wrong})


def test_label_names_are_those_of_the_order() -> None:
    spec = {"path": "a", "kind": "label_maps", "labels": "m"}
    assert SourceSpec.model_validate(spec).label_names == LABEL_ORDERS["celebamask_hq"]
    assert SourceSpec.model_validate({**spec, "label_order": "face_parsing"}).label_names[1] == "l_brow"
    assert SourceSpec.model_validate({**spec, "label_order": ["nose", "x"]}).label_names == ("nose", "x")


def test_as_a_recipe_writes_it() -> None:
    spec = SourceSpec.model_validate(
        {"path": "t.csv", "kind": "table", "columns": {"uri": "file"}, "include": ["*.jpg"], "licence": "CC0"}
    )
    assert spec.columns.uri == "file"
    assert spec.columns.identity == "identity"
    assert spec.columns.model_fields_set == {"uri"}
    assert spec.include == ("*.jpg",)


def test_names_are_measured_after_their_pattern_is_expanded() -> None:
    path = "/d/{" + ",".join(f"shard-{number:05d}" for number in range(30)) + "}.tar"
    assert len(path) > 255 and SourceSpec(path=path).path == path
    wild = "/d/[" + "x" * 300 + "]{1,2}.tar"
    assert SourceSpec(path=wild).path == wild
    pattern = "/".join(["{" + "i" * 200 + "}_{" + "j" * 200 + "}", "*.jpg"])
    assert SourceSpec(path="a", kind="path_pattern", pattern=pattern).pattern == pattern
    with pytest.raises(ValidationError, match="at most 255 bytes"):
        SourceSpec(path="/d/{" + "x" * 300 + "}.jpg")


@pytest.mark.parametrize(
    ("path", "several"),
    [("a.tar", False), ("a-{0..3}.tar", True), ("*.tar", True), ("a?.tar", True), ("*.jpg", False), ("a[0]", False)],
)
def test_is_pattern(path: str, several: bool) -> None:
    assert is_pattern(path) is several


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("https://example.org/faces.zip", "an address, not a path"),
        ("ftp://host/faces", "an address, not a path"),
        ("a\0b", "no NUL character"),
        ("x" * 100_000, "at most 4,095 bytes, not 100,000"),
        ("a/" + "é" * 200, "at most 255 bytes, not 400"),
        ("~no_such_user/photos", "no home folder is known for '~no_such_user'"),
        ("\ud800", "valid string"),
    ],
)
@pytest.mark.parametrize("key", ["path", "root", "labels"])
def test_what_cannot_be_a_path_is_refused(key: str, path: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SourceSpec.model_validate({"path": "a", "kind": "label_maps", "labels": "b", key: path})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("set/{0..9999999999}.tar", "name too many files"),
        ("{a,b}" * 40 + ".tar", "name too many files"),
        ("set/**x/{1,2}.tar", r"'\*\*' is a whole part"),
        ("set/{a," + "x" * 252 + "}.tar", "a file name has at most 255 bytes, not 256"),
        ("set/{a,b}" + "/x" * 2_100 + ".tar", "a path has at most 4,095 bytes"),
    ],
)
def test_what_cannot_be_a_pattern_of_shards_is_refused(path: str, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(ValidationError, match=message):
        SourceSpec(path=path)
    assert time.process_time() - begin < 1


@given(st.text(max_size=300) | st.text("{}[]*?~/.\0\ud800:tar,0", max_size=60).map(lambda text: f"{text}.tar"))
def test_any_path_is_a_source_or_an_error(path: str) -> None:
    with contextlib.suppress(ValidationError):
        assert SourceSpec(path=path).source_name
