"""Textures: the crops that the distance compares, in blocks that are written once, and read row by row."""

from __future__ import annotations

import errno
import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest

from faceloom.pipelines.context import Context
from faceloom.pipelines.plan import textures
from faceloom.pipelines.plan.textures import (
    StoredTextures,
    failed_faces,
    has_textures,
    join_blocks,
    make_textures,
    open_block,
    texture_recipe,
    write_blocks,
)
from faceloom.pipelines.sources import source
from faceloom.pipelines.store.failures import failed_photos
from faceloom.pipelines.store.paths import texture_block, texture_facts
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import SourceError, StorageError, WorkerError
from faceloom.schemas.morph import Morph
from faceloom.schemas.plan import PlannedFace
from faceloom.schemas.recipe import Recipe, parse_recipe
from faceloom.transforms.align import warp_image
from faceloom.transforms.geometry import apply_affine
from faceloom.transforms.neighbours.sketch import sketch
from faceloom.transforms.sample.working import crop_matrix, landmarks_of
from faceloom.transforms.texture import mean_shape_texture
from tests.known import known

PHOTOS, SIDE = 7, 32


class Bench:
    """A source of seven photos of three people, and blocks of three."""

    def __init__(self, folder: Path, synthetic: SimpleNamespace) -> None:
        self.photos, self.synthetic = folder / "photos", synthetic
        synthetic.lay_photos(self.photos, range(PHOTOS))
        self.out = folder / "out"
        self.faces = [self.face(number) for number in range(PHOTOS)]

    def face(self, number: int, **changes: Any) -> PlannedFace:
        data = (self.photos / f"{number:03d}.png").read_bytes()
        points = self.synthetic.landmarks((48 + number % 3, 46), 32, 0.03 * number)
        plain = {"uri": f"{number:03d}.png", "identity": f"p{number % 3}", "width": 96, "height": 112}
        face: PlannedFace = self.synthetic.planned(data, points, (), **{**plain, **changes})
        return face

    def recipe(self, align: Any = None, **morph: Any) -> Recipe:
        return parse_recipe(
            {
                "name": "x", "sources": [{"path": str(self.photos), "kind": "flat", "name": "s"}],
                "align": align or {"mode": "face_box", "size": 64}, "morph": {"texture_size": SIDE, **morph},
            }
        )  # fmt: skip

    def context(self, **changes: Any) -> Context:
        return Context(self.recipe(**changes).model_dump_json(exclude_unset=True), str(self.out))

    def tasks(self, context: Context) -> list[textures.TextureTask]:
        return write_blocks(context.storage, context.recipe, context.recipe.morph or Morph(), self.faces)

    def make(self, **changes: Any) -> list[str]:
        context = self.context(**changes)
        tasks = self.tasks(context)
        for task in tasks:
            make_textures(task, context)
        return [task.name for task in tasks]

    @property
    def storage(self) -> Storage:
        return Storage(str(self.out))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textures, "BLOCK", 3)


@pytest.fixture
def bench(tmp_path: Path, synthetic: SimpleNamespace) -> Bench:
    return Bench(tmp_path, synthetic)


ALIGNS = [{"mode": "face_box", "size": 64, "margin": 0.2}, {"mode": "arcface"}, {"mode": "eye_level", "size": [40, 30]}]


@pytest.mark.parametrize("align", ALIGNS)
def test_a_texture_is_the_aligned_crop_in_a_size_of_its_own(bench: Bench, align: dict[str, Any]) -> None:
    names = bench.make(align=align)
    assert len(names) == 3 and len(set(names)) == 3
    how = texture_recipe(bench.recipe(align=align), Morph(texture_size=SIDE))
    everyone = join_blocks([open_block(bench.storage, name) for name in names])
    assert everyone.textures.shape == (PHOTOS, SIDE, SIDE, 3)
    for number, face in enumerate(bench.faces):
        photo = bench.synthetic.decoded((bench.photos / face.uri).read_bytes())
        matrix = crop_matrix(how, face)
        assert np.array_equal(everyone.textures[number], warp_image(photo, matrix, (SIDE, SIDE), border="constant"))
        assert np.allclose(everyone.landmarks[number], apply_affine(matrix, known(landmarks_of(face))), atol=1e-4)
    assert everyone.landmarks.dtype == np.float32
    assert everyone.keys == [face.key for face in bench.faces]
    assert everyone.photos == [face.photo_sha256 for face in bench.faces]
    assert everyone.identities == [face.identity for face in bench.faces]
    whole = np.stack([everyone.textures[number] for number in range(PHOTOS)])
    assert np.array_equal(everyone.sketches, sketch(whole))


def test_in_the_mean_shape_faces_lie_over_each_other(bench: Bench) -> None:
    [first, *rest] = bench.make(texture="mean_shape")
    [task, *_] = bench.tasks(bench.context(texture="mean_shape"))
    mean = np.frombuffer(task.mean, np.float32).reshape(68, 2)
    how = texture_recipe(bench.recipe(), Morph(texture_size=SIDE))
    points = [apply_affine(crop_matrix(how, face), known(landmarks_of(face))) for face in bench.faces]
    assert np.allclose(mean, np.mean(points, axis=0), atol=1e-4), "of the whole split, not of the block"
    block, plain = open_block(bench.storage, first), open_block(bench.storage, bench.make()[0])
    assert np.array_equal(block.textures[1], mean_shape_texture(plain.textures[1], points[1].astype(np.float32), mean))
    assert np.array_equal(block.landmarks, plain.landmarks), "landmarks are those of the face itself"
    assert len(rest) == 2


def test_a_block_is_named_by_what_decides_it(bench: Bench) -> None:
    def names(**changes: Any) -> list[str]:
        return [task.name for task in bench.tasks(bench.context(**changes))]

    plain = names()
    assert names(neighbours=3) == names(draw="random") == plain, "not by how many neighbours are sought"
    assert names(align={"mode": "face_box", "size": 48}) == plain, "nor by the size of samples"
    for changed in ({"texture_size": 40}, {"texture": "mean_shape"}, {"align": ALIGNS[0]}):
        assert not {*names(**changed)} & {*plain}
    bench.faces[4] = bench.face(4, identity="somebody else")
    again = names()
    assert (again[0], again[2]) == (plain[0], plain[2]) and again[1] != plain[1]


def test_a_block_that_is_there_is_not_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names = bench.make()
    before = {path.name: path.read_bytes() for path in (bench.out / "work").iterdir()}
    assert all(has_textures(bench.storage, name) for name in names)
    monkeypatch.setattr(textures, "read_unchanged", lambda *_: pytest.fail("it is there"))
    bench.make()
    assert {path.name: path.read_bytes() for path in (bench.out / "work").iterdir()} == before


@pytest.mark.parametrize("missing", [texture_block, texture_facts])
def test_half_a_block_is_none(bench: Bench, missing: Any) -> None:
    [name, *_] = bench.make()
    before = {path.name: path.read_bytes() for path in (bench.out / "work").iterdir()}
    bench.storage.remove(missing(name))
    assert not has_textures(bench.storage, name)
    bench.make()
    assert {path.name: path.read_bytes() for path in (bench.out / "work").iterdir()} == before


def test_a_face_that_cannot_be_used_is_left_out_with_the_reason(bench: Bench) -> None:
    cut = (bench.photos / "001.png").read_bytes()[:200]
    (bench.photos / "001.png").write_bytes(cut)
    bench.faces[1] = bench.face(1)
    [name, *_] = bench.make()
    key = bench.faces[1].key
    [(failed_found, (code, message))] = failed_faces(bench.storage, name).items()
    assert failed_found == key and code == "truncated" and message
    block = open_block(bench.storage, name)
    assert block.keys == [bench.faces[0].key, bench.faces[2].key] and len(block.sketches) == len(block.landmarks) == 2
    whole = Bench(bench.out.parent / "whole", bench.synthetic)
    other = open_block(whole.storage, whole.make()[0])
    assert np.array_equal(block.textures[1], other.textures[2]), "the others are as they would be"


def test_a_block_of_which_nothing_is_left_can_be_opened(bench: Bench) -> None:
    for number in range(3):
        (bench.photos / f"{number:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]))
        bench.faces[number] = bench.face(number)
    names = bench.make()
    empty, full = open_block(bench.storage, names[0]), open_block(bench.storage, names[1])
    assert len(empty) == 0 and empty.textures.shape == (0, SIDE, SIDE, 3)
    assert len(failed_faces(bench.storage, names[0])) == 3
    both = join_blocks([empty, full])
    assert both.keys == full.keys and np.array_equal(both.textures[2], full.textures[2])
    assert len(join_blocks([empty])) == 0


def test_a_photo_that_changed_fails_the_block_and_all_such_photos_are_noted(bench: Bench) -> None:
    context = bench.context()
    tasks = bench.tasks(context)
    for number in (0, 2):
        (bench.photos / f"{number:03d}.png").write_bytes(b"other bytes")
    (bench.photos / "004.png").unlink()
    for task in tasks:
        make_textures(task, context)
    assert [has_textures(bench.storage, task.name) for task in tasks] == [False, False, True]
    assert set(failed_photos(bench.storage)) == {"s/000.png", "s/002.png", "s/004.png"}
    assert not bench.storage.partials()


def test_a_disk_that_fails_is_distinguished_from_a_photo_that_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = bench.context()
    [task, *_] = bench.tasks(context)

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(source, "open_regular_file", fail)
    with pytest.raises(WorkerError, match=r"^s/000\.png: unexpected OSError \(got .*Input/output error"):
        make_textures(task, context)
    assert failed_photos(bench.storage) == {} and not has_textures(bench.storage, task.name)


def test_a_source_that_is_gone_ends_the_run(bench: Bench) -> None:
    context = bench.context()
    [task, *_] = bench.tasks(context)
    context.source("s")
    bench.photos.rename(bench.photos.with_name("elsewhere"))
    with pytest.raises(SourceError):
        make_textures(task, context)
    assert not has_textures(bench.storage, task.name)


def test_stored_textures_are_read_where_they_lie(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_bytes(rows[:3].tobytes())
    paths[1].write_bytes(rows[3:].tobytes())
    stored = StoredTextures([(paths[0], 0), (paths[0], 1), (paths[0], 2), (paths[1], 0), (paths[1], 1)], 4)
    assert stored.shape == rows.shape
    assert all(np.array_equal(stored[number], rows[number]) for number in range(5))
    for part in (slice(1, 4), slice(None, None, 2), slice(4, 9), slice(0, 0)):
        some = stored[part]
        assert some.shape == rows[part].shape
        assert all(np.array_equal(some[number], one) for number, one in enumerate(rows[part]))


def test_no_file_stays_open(bench: Bench) -> None:
    """A set of a million faces has ten thousand blocks; a process may open a thousand files."""
    names = bench.make()
    before = len(list(Path("/proc/self/fd").iterdir()))
    blocks = [open_block(bench.storage, name) for name in names for _ in range(20)]
    assert all(block.textures[0].any() for block in blocks)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_plan_rows_of_other_photos_do_not_disturb(bench: Bench) -> None:
    """Blocks are cut in the order given; the same faces in another order are other blocks of the same textures."""
    forward = join_blocks([open_block(bench.storage, name) for name in bench.make()])
    bench.faces = [replace(face) for face in reversed(bench.faces)]
    backward = join_blocks([open_block(bench.storage, name) for name in bench.make()])
    assert backward.keys == forward.keys[::-1]
    assert all(np.array_equal(forward.textures[n], backward.textures[PHOTOS - 1 - n]) for n in range(PHOTOS))


def test_tasks_say_how_many_faces_there_are_to_do(bench: Bench) -> None:
    assert [task.faces for task in bench.tasks(bench.context())] == [3, 3, 1]
    bench.faces = []
    assert bench.tasks(bench.context()) == [] == bench.tasks(bench.context(texture="mean_shape"))


def test_facts_of_another_version_are_made_again(bench: Bench) -> None:
    """An interrupted build of 0.1.0 leaves blocks under the same names, with other arrays inside."""
    context = bench.context()
    [task, *_] = bench.tasks(context)
    make_textures(task, context)
    facts = bench.storage.local(texture_facts(task.name))
    good = facts.read_bytes()
    for old in (b"no archive", good[:100]):
        facts.write_bytes(old)
        assert not has_textures(bench.storage, task.name)
    with facts.open("wb") as stream:
        np.savez(stream, side=np.int64(8), other=np.zeros(3, np.uint8))
    assert not has_textures(bench.storage, task.name)
    make_textures(task, context)
    assert facts.read_bytes() == good


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def squeezed(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def lying(**arrays: Any) -> bytes:
    """An npz file whose landmarks claim a million million numbers."""
    return npz(**arrays).replace(b"(2, 68, 2)", b"(9, 9**9,)").replace(b"(3, 68, 2)", b"(10**12,) ")


TAMPERED: list[Any] = [
    lambda good: b"", lambda good: b"PK", lambda good: npz(**good)[:-30], lambda good: squeezed(**good),
    lambda good: lying(**good), lambda good: npz(x=np.zeros(1)),
    lambda good: npz(**{**good, "landmarks": good["landmarks"].astype(np.float64)}),
    lambda good: npz(**{**good, "landmarks": good["landmarks"][:1]}),
    lambda good: npz(**{**good, "sketches": good["sketches"][:, :1]}),
    lambda good: npz(**{**good, "side": np.int64(10**9)}), lambda good: npz(**{**good, "side": np.int64(-1)}),
    lambda good: npz(**{**good, "side": np.int64(7)}), lambda good: npz(**{**good, "side": np.array([1, 2])}),
    *(lambda good, text=text: npz(**{**good, "names": np.frombuffer(text, np.uint8)})
      for text in (b"[]", b"{}", b"[[1, 2, 3]]", b"[" * 9999, b"x")),
    lambda good: npz(**{**good, "failed": np.frombuffer(b"[1]", np.uint8)}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TAMPERED)))
def test_tampered_facts_are_made_again(bench: Bench, number: int) -> None:
    [name, *_] = bench.make()
    path = bench.storage.local(texture_facts(name))
    good = path.read_bytes()
    with np.load(io.BytesIO(good)) as arrays:
        path.write_bytes(TAMPERED[number](dict(arrays)))
    assert not has_textures(bench.storage, name)
    with pytest.raises(StorageError, match="damaged") as caught:
        open_block(bench.storage, name)
    assert "\n" not in str(caught.value)
    bench.make()
    assert path.read_bytes() == good


def test_textures_that_are_cut_short_are_made_again(bench: Bench) -> None:
    [name, *_] = bench.make()
    path = bench.storage.local(texture_block(name))
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert not has_textures(bench.storage, name)
    bench.make()
    assert path.read_bytes() == good
