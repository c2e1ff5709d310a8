"""Recipe files: where their paths start, and what is refused."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceloom.pipelines.recipe.load import load_recipe
from faceloom.pipelines.recipe.yaml_text import MOST_BYTES
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas import base
from faceloom.schemas.checked import MOST_FAULTS
from faceloom.schemas.errors import RecipeError, StorageError
from faceloom.schemas.masks import TemplateMask
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.object_stores import gcs_server


def write(folder: Path, text: str, name: str = "r.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_in_a_recipe_file_start_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sets").mkdir()
    path = write(
        tmp_path / "sets",
        """
        name: x
        faces: {landmark_model: models/lm.dat}
        sources: [{path: photos}, {path: ../b.csv, root: pics}, {path: /abs/c}, {path: '~/d'}]
        masks:
          - {kind: picture, path: m.png, anchors: ../m.json}
          - {kind: polygon, shape: A}
          - {kind: template, template: cloth, pattern: fabrics/tartan.png}
          - {kind: template, template: cloth, pattern: dots}
          - {kind: template, template: cloth, pattern: 's3://bucket/tartan.png'}
        """,
    )
    recipe = load_recipe(path)
    here = tmp_path / "sets"
    assert [source.path for source in recipe.sources] == [
        str(here / "photos"), str(here / "../b.csv"), "/abs/c", str(Path.home() / "d"),
    ]  # fmt: skip
    assert recipe.sources[1].root == str(here / "pics")
    assert recipe.sources[0].root is None
    assert recipe.faces.landmark_model == str(here / "models/lm.dat")
    assert recipe.masks[0].model_dump()["anchors"] == str(here / "../m.json")
    assert recipe.masks[1].kind == "polygon"
    patterns = [mask.pattern for mask in recipe.masks if isinstance(mask, TemplateMask)]
    assert patterns == [str(here / "fabrics/tartan.png"), "dots", "s3://bucket/tartan.png"]


def test_a_relative_recipe_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "{name: x, sources: [{path: photos}]}")
    monkeypatch.chdir(tmp_path)
    assert load_recipe(Path("r.yaml")).sources[0].path == str(tmp_path / "photos")


def test_faults_in_a_file_have_their_paths(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, "name: x\nmasks:\n  - {kind: polygon, shape: Q}\n"))
    assert caught.value.where == f"{tmp_path}/r.yaml: $.masks[0].shape"


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "\t- x"])
def test_what_is_no_yaml(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="not valid YAML") as caught:
        load_recipe(write(tmp_path, text))
    assert caught.value.where.endswith("r.yaml: line 1")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(tmp_path / "r.yaml")


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no such recipe.*none.yaml"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match=r"cannot read the recipe.*it is a folder"):
        load_recipe(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(RecipeError, match="it is a pipe, socket or device, not a file"):
            load_recipe(path)


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"it has 262,152 bytes; at most 262,144"):
        load_recipe(write(tmp_path, "name: x\n" + "#" * MOST_BYTES))


def test_an_empty_file_is_no_mapping(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the recipe is empty"):
        load_recipe(write(tmp_path, "# nothing yet\n"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("name: a\nname: b\n", r"\$\.name"),
        ("name: a\nalign: {size: 64, size: 112}\n", r"\$\.align\.size"),
        ("name: a\nmasks:\n- {kind: polygon, shape: A, shape: B}\n", r"\$\.masks\[0\]\.shape"),
    ],
)
def test_a_key_given_twice_is_refused(text: str, path: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(text)
    with pytest.raises(RecipeError, match=rf"{path}: this key is given twice"):
        load_recipe(recipe)


BAD: dict[str, str | bytes] = {
    "a date": "name: 2024-12-24",
    "an impossible date": "name: 2024-13-45",
    "a time": "name: x\ndescription: 2001-12-14t21:59:43.10-05:00",
    "an alias in itself": "name: x\na: &a [*a]",
    "a mapping in itself": "name: x\na: &a {b: *a}",
    "a list as key": "? [a]\n: b",
    "a mapping as key": "? {a: b}\n: c",
    "a number as key": "name: x\n1: 2",
    "a boolean as key": "name: x\ntrue: 2",
    "nothing as key": "name: x\n~: 2",
    "a bad boolean": "name: !!bool maybe",
    "a set": "name: x\nmasks: !!set {a, b}",
    "an ordered mapping": "name: x\nalign: !!omap [size: 64]",
    "pairs": "name: x\nalign: !!pairs [size: 64]",
    "binary": "name: !!binary aGVsbG8=",
    "python": "name: !!python/object/apply:os.system [id]",
    "python name": "name: !!python/name:os.system",
    "a tag of its own": "name: !x y",
    "a verbatim tag": "name: !<tag:example.org,2000:x> y",
    "a surrogate": 'name: x\ndescription: "\\ud800"',
    "a surrogate as key": 'name: x\n"\\udfff": 1',
    "a null character": 'name: x\nmasks: [{kind: autoencoder, checkpoint: "a\\0b"}]',
    "a null character as key": 'name: x\n"a\\0": 1',
    "a control character": "name: x\ndescription: \x07",
    "an escaped control character": 'name: "a\\x07"',
    "a line break in a key": 'name: x\n"a\\nb": 1',
    "a huge size": f"name: x\noutput: {{shards: {{bytes: {'9' * 400}GB}}}}",
    "a huge number": f"name: x\noutput: {{shards: {{bytes: {'9' * 400}}}}}",
    "a large size": "name: x\noutput: {shards: {bytes: 99999999999GB}}",
    "a negative size": "name: x\noutput: {shards: {bytes: -1}}",
    "a hexadecimal seed": f"name: x\nseed: 0x{'f' * 6000}",
    "a seed of bits": f"name: x\nseed: 0b{'1' * 6000}",
    "an infinite weight": "name: x\nmasks: [{kind: polygon, shape: A, weight: .inf}]",
    "a weight of nothing": "name: x\nmasks: [{kind: polygon, shape: A, weight: .nan}]",
    "a weight beyond floats": "name: x\nmasks: [{kind: polygon, shape: A, weight: 1e999}]",
    "a huge weight": "name: x\nmasks: [{kind: polygon, shape: A, weight: 1.0e+308}]",
    "a weight of digits": f"name: x\nmasks: [{{kind: polygon, shape: A, weight: {'9' * 299}}}]",
    "huge pixels": f"name: x\nfaces: {{max_pixels: {'9' * 299}}}",
    "huge faces": f"name: x\nfaces: {{min_size: {'9' * 299}}}",
    "huge rows": f"name: x\noutput: {{halves: {{split_row: {'9' * 299}}}}}",
    "a boolean for a number": "name: x\nseed: true",
    "a boolean for a colour": "name: x\nmasks: [{kind: polygon, shape: A, colour: [true, 0, 0]}]",
    "a number for a boolean": "name: x\noutput: {alpha: 1}",
    "text for a list": "name: x\nmasks: polygon",
    "a list for text": "name: [x]",
    "an empty list": "[]",
    "an empty list of sizes": "name: x\nalign: {size: []}",
    "an empty list of names": "name: x\nsources: [{path: p, kind: label_maps, labels: l, label_order: []}]",
    "an empty path": "name: x\nsources: [{path: ''}]",
    "an empty name": "name: ''",
    "two documents": "name: x\n---\nname: y",
    "an open list": "name: [",
    "an open quote": "name: 'x",
    "a tab": "name: x\nmasks:\n\t- 1",
    "two keys": "name: x\nname: y",
    "an unknown anchor": "name: *x",
    "a directive": "%FOO bar\n%YAML 9.9\n---\nname: x",
    "old YAML with times": f"%YAML 1.1\n---\nname: x\nseed: 1{':1' * 5000}",
    "a merge of text": "name: x\n<<: y",
    "a merge of itself": "name: x\na: &a {<<: *a}",
    "a long key": f"name: x\n? {'k' * 100_000}\n: 1",
    "a long name": f"name: {'x' * 100_000}",
    "a long kind": f"name: x\nmasks: [{{kind: {'x' * 100_000}}}]",
    "a long path": f"name: x\nsources: [{{path: {'x' * 100_000}}}]",
    "a long part of a path": f"name: x\nfaces: {{landmark_model: a/{'x' * 256}}}",
    "many unknown keys": "name: x\n" + "".join(f"k{number}: 1\n" for number in range(4900)),
    "many wrong masks": "name: x\nmasks: [" + "{kind: polygn}, " * 3000 + "]",
    "many masks": "name: x\nmasks: [" + "7, " * 9_900 + "]",
    "deep lists": "name: " + "[" * 100_000,
    "deep dashes": "- " * 100_000,
    "many values": "name: [" + "1," * 120_000 + "]",
    "laughs": "name: x\na: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)),
    "merged laughs": "name: x\na: &a {k: 1}\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{','.join([f'*{chr(97 + n)}'] * 9)}]}}\n" for n in range(9)),
    "a chain of aliases": "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5000)),
    "UTF-16": "name: x".encode("utf-16"),
    "UTF-32": "name: x".encode("utf-32"),
    "Latin-1": "name: x\ndescription: ä".encode("latin-1"),
    "an escape of a terminal": b"name: x\n\x1b[2J: 1",
    "nothing": b"",
    "a null": b"\0",
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_recipe_ends_soon_with_one_line_that_names_file_and_place(name: str, tmp_path: Path) -> None:
    text, begin = BAD[name], time.process_time()
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    said = str(caught.value)
    assert said.startswith(str(path)) and said.isprintable() and len(said) < 2000
    assert "http" not in said and "pydantic" not in said
    assert ": $" in said or ": line " in said or name in ("nothing", "an empty list")
    assert time.process_time() - begin < 10


FIELDS = [
    "name", "description", "seed", "sources", "faces", "masks", "per_face", "align", "morph", "augment", "guide",
    "lowres", "split", "output", "faces.select", "faces.min_size", "faces.landmark_model", "align.mode", "align.size",
    "align.margin", "morph.lambda", "morph.weights", "guide.parts", "guide.attribute", "lowres.sizes",
    "lowres.size_range", "lowres.size_share", "lowres.sizes_from", "split.by", "split.shares", "split.per_identity",
    "output.shards", "output.shards.bytes", "output.halves", "output.features", "output.features.model",
]  # fmt: skip


@given(
    st.sampled_from(FIELDS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**299) | st.dates(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)
@settings(max_examples=200, deadline=None)
def test_no_value_of_any_field_ends_in_an_unforeseen_error(field: str, value: object) -> None:
    first, _, second = field.partition(".")
    second, _, third = second.partition(".")
    value = {third: value} if third else value
    data = {"name": "x", first: {second: value} if second else value}
    with contextlib.suppress(RecipeError):
        recipe = parse_recipe(data)
        assert Recipe.model_validate_json(recipe.model_dump_json(exclude_unset=True, by_alias=True)) == recipe


def test_the_home_of_a_user_that_does_not_exist_is_a_plain_path(tmp_path: Path) -> None:
    text = 'name: x\nmasks: [{kind: autoencoder, checkpoint: "~no-such-user/x"}, {kind: polygon, shape: A}]'
    mask = load_recipe(write(tmp_path, text)).masks[0]
    assert mask.model_dump()["checkpoint"] == str(tmp_path / "~no-such-user/x")
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe("~no-such-user/r.yaml")


def test_a_name_that_no_file_system_takes_is_refused() -> None:
    for name in ("x" * 300, "x" * 5000, "a\0b"):
        with pytest.raises(RecipeError, match=r"File name too long|no such recipe"):
            load_recipe(name)


def test_many_faults_are_named_in_part(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, "name: x\nmasks: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]"))
    assert str(caught.value).count("expected a mapping of keys") == MOST_FAULTS


def test_a_recipe_by_url_and_paths_that_start_at_its_folder() -> None:
    with gcs_server() as bucket:
        storage = Storage(f"{bucket}/sets")
        text = "name: x\nsources: [{path: ../photos}, {path: a.csv, root: s3://b/pics}, {path: /abs/c}]\n"
        with storage.write("r.yaml") as stream:
            stream.write(text.encode())
        recipe = load_recipe(f"{storage.root}/r.yaml")
        assert load_recipe(Path(f"{storage.root}/r.yaml")) == recipe, "pathlib leaves one slash"
        assert [source.path for source in recipe.sources] == [f"{bucket}/photos", f"{bucket}/sets/a.csv", "/abs/c"]
        assert recipe.sources[1].root == "s3://b/pics"
        with pytest.raises(RecipeError, match="No such file") as caught:
            load_recipe(f"{storage.root}/none.yaml")
        assert caught.value.where == f"{storage.root}/none.yaml"
        with storage.write("bad.yaml") as stream:
            stream.write(b"name: x\nnone: 1\n")
        with pytest.raises(RecipeError, match="unknown key") as caught:
            load_recipe(f"{storage.root}/bad.yaml")
        assert caught.value.where == f"{storage.root}/bad.yaml: $.none"
    with pytest.raises(StorageError, match="not supported"):
        load_recipe("http://host/r.yaml")


def marked(annotation: Any) -> bool:
    """Whether a type is a path: `PathText` or `PatternText`, in unions and annotations too."""
    names = [getattr(one, "func", None) for one in getattr(annotation, "__metadata__", ())]
    return base._pattern in names or any(map(marked, get_args(annotation)))


def models_in(annotation: Any) -> Iterator[type[base.Model]]:
    if isinstance(annotation, type) and issubclass(annotation, base.Model):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def path_keys(model: type[base.Model]) -> set[tuple[str, str]]:
    """The keys of a model and those below it that hold paths."""
    found = set()
    for name, annotation in get_type_hints(model, include_extras=True).items():
        if name in model.model_fields:
            below = [key for part in models_in(annotation) for key in path_keys(part)]
            found.update(below or ([(model.__name__, name)] if marked(annotation) else []))
    return found


def paths_in(model: base.Model) -> Iterator[tuple[tuple[str, str], str]]:
    """The paths that a recipe names, each with its key."""
    keys = path_keys(type(model))
    for name in type(model).model_fields:
        value = getattr(model, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, base.Model):
                yield from paths_in(part)
            elif part is not None and (type(model).__name__, name) in keys:
                yield (type(model).__name__, name), part


ALL_PATHS = """
name: x
sources:
  - {kind: label_maps, path: FILE, labels: FILE}
  - {kind: table, path: FILE, root: FILE}
  - {kind: pairs, bare: FILE, masked: FILE, maps: FILE}
faces:
  landmark_model: FILE
  detector: {onnx: FILE}
  masked: {detector: FILE}
  parser: FILE
masks:
  - {kind: picture, path: FILE, anchors: FILE}
  - {kind: template, template: cloth, pattern: FILE}
  - {kind: autoencoder, checkpoint: FILE}
lowres: {mode: realistic, sizes_from: FILE}
output: {features: {model: FILE}}
"""


@pytest.mark.parametrize(("written", "folder"), [("m/f.png", "recipe"), ("~/f.png", "home")])
def test_every_key_that_holds_a_path_starts_at_the_folder(tmp_path: Path, written: str, folder: str) -> None:
    """A new key belongs into `ALL_PATHS` and `_resolve_paths`. A pattern of paths in a source stays as it is."""
    recipe = load_recipe(write(tmp_path, ALL_PATHS.replace("FILE", written)))
    found = list(paths_in(recipe))
    assert {key for key, _ in found} == path_keys(Recipe) - {("SourceSpec", "pattern")}
    place = str(tmp_path / "m/f.png") if folder == "recipe" else str(Path.home() / "f.png")
    assert [(key, path) for key, path in found if path != place] == []
