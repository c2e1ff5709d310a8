"""Neighbours of a build are those of the naive loop, found once, kept, and found again after a kill or a change."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.analyse.survey import survey
from faceloom.pipelines.build import prepare
from faceloom.pipelines.context import Context
from faceloom.pipelines.plan import block_groups, index_search, neighbour_search, textures
from faceloom.pipelines.plan.choose import choose_faces
from faceloom.pipelines.plan.neighbour_search import SplitNeighbours, find_neighbours
from faceloom.pipelines.run.stopwatch import Stopwatch
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.neighbour_rows import write_neighbours
from faceloom.pipelines.store.output_folder import locked_output
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import FaceloomError, PhotoError, SourceError
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms.align import warp_image
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.sample.working import crop_matrix, landmarks_of
from tests.known import known

PHOTOS = 14
HAS_FAISS = importlib.util.find_spec("faiss") is not None


class Reports(Watcher):
    """Remembers the stages."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.most = 0

    def stage(self, name: str, total: int | None, unit: str) -> None:
        self.stages.append((name, total))

    def done(self, count: int) -> None:
        self.most = max(self.most, count)


class Bench:
    """Photos of some people, and searches among them."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.folder, self.synthetic = folder, synthetic
        self.table = synthetic.lay_photos(folder / "photos", range(PHOTOS), people=5)
        self.reports = Reports()
        with locked_output(Storage(str(folder / "out"))):
            (folder / "out" / "faces").mkdir()  # a folder without results is not kept

    def context(self, **morph: Any) -> Context:
        plain = {
            "name": "x", "sources": [{"path": str(self.table), "name": "s"}], "faces": {"min_size": 0},
            "align": {"mode": "face_box", "size": 48}, "morph": {"neighbours": 3, "texture_size": 32, **morph},
        }  # fmt: skip
        return prepare(parse_recipe(plain), str(self.folder / "out"))

    def faces(self, context: Context) -> list[PlannedFace]:
        found = survey(context, workers=1, watcher=Watcher())
        return list(choose_faces(context.recipe, found.analysed).faces)

    def find(self, workers: int = 1, faces: list[PlannedFace] | None = None, **morph: Any) -> SplitNeighbours:
        context = self.context(**morph)
        how = context.recipe.morph
        assert how is not None
        self.reports = Reports()
        among = self.faces(context) if faces is None else faces
        return find_neighbours(context, how, among, workers=workers, watcher=self.reports)

    def files(self, top: str) -> dict[str, bytes]:
        found = (self.folder / "out" / top).glob("*")
        return {path.name: path.read_bytes() for path in found}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks, several groups, and no landmark model."""
    monkeypatch.setattr(textures, "BLOCK", 3)
    monkeypatch.setattr(block_groups, "GROUP", 2)
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> Bench:
    return Bench(tmp_path, synthetic)


def naive(bench: Bench, context: Context, units: float) -> dict[str, list[tuple[float, str, float, float]]]:
    """Every distance from the published formula, in a double loop over whole pictures."""
    recipe, morph = context.recipe, context.recipe.morph
    assert morph is not None
    how = recipe.model_copy(update={"align": recipe.align.model_copy(update={"size": morph.texture_size})})
    seen = []
    for face in bench.faces(context):
        matrix = crop_matrix(how, face)
        photo = bench.synthetic.decoded((bench.table.parent / face.uri).read_bytes())
        picture = warp_image(photo, matrix, (morph.texture_size,) * 2).astype(np.float64) / units
        rounded = apply_affine(matrix, known(landmarks_of(face))).astype(np.float32)
        seen.append((face, picture, rounded.astype(np.float64)))
    rows = {}
    for face, picture, points in seen:
        found = []
        for other, other_picture, other_points in seen:
            if other.photo_sha256 == face.photo_sha256:
                continue
            if morph.same_identity == "forbid" and other.identity == face.identity:
                continue
            shape = float(np.linalg.norm(points - other_points))
            look = float(np.linalg.norm(picture - other_picture))
            found.append((morph.lambda_ * shape + look, other.key, shape, look))
        rows[face.key] = sorted(found)[: morph.neighbours]
    return rows


@pytest.mark.parametrize(
    "morph",
    [
        {},
        {"same_identity": "allow"},
        {"texture_units": "levels", "lambda": 100.0},
        {"lambda": 0.0, "neighbours": 40},
        {"lambda": 1e4, "neighbours": 1},
    ],
)
def test_neighbours_are_those_of_the_naive_loop(bench: Bench, morph: dict[str, Any]) -> None:
    rows = bench.find(**morph).rows
    wanted = naive(bench, bench.context(**morph), 1 if "texture_units" in morph else 255)
    assert {row.query for row in rows} == set(wanted) and len(wanted) == PHOTOS
    for key, near in wanted.items():
        own = [row for row in rows if row.query == key]
        assert [row.rank for row in own] == list(range(len(near)))
        assert [row.neighbour for row in own] == [other for _, other, _, _ in near]
        found = [(row.distance, row.landmark_distance, row.texture_distance) for row in own]
        assert np.allclose(found, [(all_, shape, look) for all_, _, shape, look in near], rtol=1e-9)


@pytest.mark.slow
def test_neither_the_order_nor_the_number_of_workers_nor_the_blocks_matter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.find()
    kept = bench.files("neighbours")
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    faces = bench.faces(bench.context())
    again = bench.find(workers=2, faces=faces[::-1])
    assert (again.rows, again.failed, again.recall, again.kept) == (first.rows, {}, None, first.kept)
    assert {"read", "decode", "align", "sketch", "compare"} <= set(again.seconds)
    assert bench.files("neighbours") == kept
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    monkeypatch.setattr(textures, "BLOCK", 50)
    assert bench.find().rows == first.rows and bench.files("neighbours") == kept


def test_a_second_run_finds_everything_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.find()
    assert bench.reports.stages == [("textures", PHOTOS), ("compare", PHOTOS)] and bench.reports.most == PHOTOS
    assert bench.files("work") == {}, "textures are gone when the search is over"
    monkeypatch.setattr(neighbour_search, "run_tasks", lambda *_, **__: pytest.fail("there is no work"))
    monkeypatch.setattr(neighbour_search, "write_blocks", lambda *_: pytest.fail("there is no work"))
    again = bench.find()
    assert (again.rows, again.kept, again.seconds) == (first.rows, first.kept, {}) and bench.reports.stages == []


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"draw": "random"}, True),
        pytest.param({"weights": "uniform"}, True, marks=pytest.mark.slow),
        pytest.param({"background": "gradient"}, True, marks=pytest.mark.slow),
        ({"neighbours": 2}, False),
        pytest.param({"lambda": 11.0}, False, marks=pytest.mark.slow),
        pytest.param({"texture_size": 40}, False, marks=pytest.mark.slow),
        pytest.param({"texture": "mean_shape"}, False, marks=pytest.mark.slow),
        ({"texture_units": "levels"}, False),
        ({"same_identity": "allow"}, False),
    ],
)
def test_only_what_changes_neighbours_has_them_sought_again(bench: Bench, change: dict[str, Any], same: bool) -> None:
    assert (bench.find(**change).kept == bench.find().kept) == same


def test_who_somebody_is_counts(bench: Bench) -> None:
    """Not of the same identity: another name of one person is another search."""
    before = bench.find()
    text = bench.table.read_text().replace("person 1", "person 2")
    bench.table.write_text(text)
    after = bench.find()
    assert after.kept != before.kept
    names = {face.key: face.identity for face in bench.faces(bench.context())}
    assert all(names[row.query] != names[row.neighbour] for row in after.rows)


def stopped_at(
    patch: pytest.MonkeyPatch, name: str, log: Path, after: int, home: ModuleType = neighbour_search
) -> None:
    """Let a task of one kind die when so many were done; those are logged in a file, for Beam works on copies."""
    work: Callable[..., Any] = getattr(home, name)
    log.touch()

    def dying(*given: Any, **more: Any) -> Any:
        if len(log.read_text().splitlines()) == after:
            raise FaceloomError("killed")
        result = work(*given, **more)
        with log.open("a") as stream:
            stream.write(f"{[value for value in given if not isinstance(value, Context | Stopwatch)]}\n")
        return result

    patch.setattr(home, name, dying)


@pytest.mark.parametrize(("stage", "tasks"), [("_make_textures", 5), ("search_task_group", 3)])
def test_a_run_that_was_stopped_is_taken_up_where_it_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stage: str, tasks: int
) -> None:
    whole = bench.find()
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    before, after, textures_again = (bench.folder / name for name in ("before", "after", "textures"))
    with monkeypatch.context() as patch:
        stopped_at(patch, stage, before, after=2)
        with pytest.raises(FaceloomError, match="killed"):
            bench.find()
    assert bench.files("work") and not bench.files("neighbours")
    with monkeypatch.context() as patch:
        if stage == "search_task_group":
            stopped_at(patch, "_make_textures", textures_again, after=0)
        stopped_at(patch, stage, after, after=-1)
        assert bench.find().rows == whole.rows
    done, rest = before.read_text().splitlines(), after.read_text().splitlines()
    assert (len(done), len(rest)) == (2, tasks - 2) and not {*done} & {*rest}
    assert bench.files("work") == {}


def test_damaged_work_of_a_stopped_run_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bench.find()
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    before = bench.folder / "before"
    with monkeypatch.context() as patch:
        stopped_at(patch, "search_task_group", before, after=2)
        with pytest.raises(FaceloomError, match="killed"):
            bench.find()
    damaged = [*(bench.folder / "out" / "work").iterdir()]
    assert {"rows", "groups", "facts", "textures"} <= {path.name.split(".")[1] for path in damaged}
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-9])
    assert bench.find().rows == whole.rows


@pytest.mark.parametrize(
    "content",
    [b"{", b"[" * 9999, b'{"failed": {"of another search": ["c", "m"]}, "recall": null}',
     *(pytest.param(text, marks=pytest.mark.slow)
       for text in (b"", b"[]", b"{}", b'{"failed": {}, "recall": "x"}', b'{"failed": {}, "recall": -1}',
                    b'{"failed": {"a": 1}, "recall": null}'))],
)  # fmt: skip
def test_damaged_facts_of_a_search_have_it_searched_again(bench: Bench, content: bytes) -> None:
    whole = bench.find()
    [facts] = (bench.folder / "out" / "neighbours").glob("*.json")
    good = facts.read_bytes()
    facts.write_bytes(content)
    assert bench.find().rows == whole.rows
    assert facts.read_bytes() == good


def test_a_damaged_table_of_neighbours_is_searched_again(bench: Bench) -> None:
    whole = bench.find()
    [table] = (bench.folder / "out" / "neighbours").glob("*.parquet")
    good, storage = table.read_bytes(), Storage(str(bench.folder / "out"))
    for content in (b"", good[:-9], b"PAR1"):
        table.write_bytes(content)
        assert bench.find().rows == whole.rows and table.read_bytes() == good
    write_neighbours(storage, f"neighbours/{table.name}", [whole.rows[0]._replace(neighbour="somebody-else")])
    assert bench.find().rows == whole.rows and table.read_bytes() == good


def test_a_photo_that_changed_in_secret_ends_the_run_and_leaves_the_rest(bench: Bench) -> None:
    context = bench.context()
    faces = bench.faces(context)
    (bench.table.parent / "003.png").write_bytes(bench.synthetic.encoded(bench.synthetic.picture(96, 112, 99)))
    (bench.table.parent / "007.png").unlink()
    with pytest.raises(SourceError, match=r"2 photos changed or vanished .*; nothing was compared with them") as caught:
        bench.find(faces=faces)
    assert "s/003.png: the photo changed" in str(caught.value) and "s/007.png" in str(caught.value)
    made = [name for name in bench.files("work") if name.endswith(".facts.npz")]
    assert 0 < len(made) < 5 and not bench.files("neighbours")


def test_faces_without_a_texture_are_reported_with_the_reason_and_are_no_neighbours(bench: Bench) -> None:
    faces = bench.faces(bench.context(texture="mean_shape"))
    points = np.frombuffer(faces[4].landmarks, np.float32).reshape(68, 2).copy()
    points[[36, 37]] = points[[37, 36]]  # two corners of an eye have changed places
    faces[4] = replace(faces[4], landmarks=points.tobytes())
    found = bench.find(faces=faces, texture="mean_shape")
    assert {key: code for key, (code, _) in found.failed.items()} == {faces[4].key: "morph_folds"}
    assert faces[4].key not in {key for row in found.rows for key in (row.query, row.neighbour)}
    assert {row.query for row in found.rows} == {face.key for face in faces} - {faces[4].key}
    assert bench.find(faces=faces, texture="mean_shape").failed == found.failed, "kept with the rows"


def test_of_few_faces_there_are_few_neighbours(bench: Bench) -> None:
    faces = bench.faces(bench.context())
    assert bench.find(faces=faces[:1]).rows == ()
    two = bench.find(faces=[faces[0], next(face for face in faces if face.identity != faces[0].identity)])
    assert [row.rank for row in two.rows] == [0, 0]


@pytest.mark.skipif(not HAS_FAISS, reason="FAISS is not installed")
def test_an_index_says_how_much_it_finds(bench: Bench) -> None:
    exact = bench.find()
    found = bench.find(candidates="ivf")
    assert exact.recall is None and found.recall == 1.0, "so few faces are all looked at"
    assert found.rows == exact.rows and found.kept != exact.kept
    assert bench.find(candidates="ivf", workers=2).recall == 1.0, "kept with the rows"


@pytest.mark.skipif(not HAS_FAISS, reason="FAISS is not installed")
def test_an_empty_index_is_no_trouble(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise PhotoError("decode_failed", "it cannot be decoded")

    monkeypatch.setattr(textures, "_texture", none)
    found = bench.find(candidates="ivf")
    assert found.rows == () and len(found.failed) == PHOTOS


@pytest.mark.skipif(not HAS_FAISS, reason="FAISS is not installed")
@pytest.mark.parametrize("stage", ["make_part", "search_group"])
def test_a_search_through_an_index_is_taken_up_where_it_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(index_search, "PIECE", 1)
    monkeypatch.setattr(neighbour_search, "PIECE", 1)
    whole, kept = bench.find(candidates="ivf"), bench.files("neighbours")
    assert [name for name, _ in bench.reports.stages] == ["textures", "index", "compare"]
    assert {"index", "recall", "search", "compare"} <= set(whole.seconds) and bench.files("work") == {}
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    home = index_search if stage == "make_part" else neighbour_search
    before, after = bench.folder / "before", bench.folder / "after"
    with monkeypatch.context() as patch:
        stopped_at(patch, stage, before, after=2, home=home)
        with pytest.raises(FaceloomError, match="killed"):
            bench.find(candidates="ivf")
    with monkeypatch.context() as patch:
        stopped_at(patch, stage, after, after=-1, home=home)
        assert bench.find(candidates="ivf").rows == whole.rows
    done, rest = before.read_text().splitlines(), after.read_text().splitlines()
    assert len(done) == 2 and rest and not {*done} & {*rest}
    assert bench.files("neighbours") == kept and bench.files("work") == {}


@pytest.mark.slow
@pytest.mark.skipif(not HAS_FAISS, reason="FAISS is not installed")
def test_two_workers_find_the_same_through_an_index(bench: Bench) -> None:
    one = bench.find(candidates="ivf")
    kept = bench.files("neighbours")
    for path in (bench.folder / "out" / "neighbours").iterdir():
        path.unlink()
    two = bench.find(candidates="ivf", workers=2)
    assert (two.rows, two.recall) == (one.rows, one.recall) and bench.files("neighbours") == kept
