"""Features: what a network of the user's says of a face, the same bytes in any grouping, and faults found early."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faceloom.pipelines.analyse import photo_task as analysis
from faceloom.pipelines.build import prepare, run_build
from faceloom.pipelines.render.features import BATCH, check_features, features_digest, load_extractor
from faceloom.pipelines.run.watcher import Watcher
from faceloom.schemas.errors import RecipeError
from faceloom.schemas.recipe import Features, Recipe, parse_recipe

if TYPE_CHECKING:
    import torch
else:
    torch = pytest.importorskip("torch")
SIDE = 24
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")


class Network(torch.nn.Module):
    """For 24 x 24 pictures; 40 numbers out."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4 * 22 * 22, 40)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.f(torch.relu(self.c(x)).flatten(1))


class Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[2, 3])


class Count(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full([x.shape[0], 1], float(x.shape[0]))


class Size(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full([x.shape[0], 2], float(x.shape[2] * 1000 + x.shape[3]))


class Same(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class OneNumber(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean()


class OneRow(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:1].flatten(1)


class Two(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


def save(path: Path, kind: type = Network, seed: int = 0) -> Path:
    """A TorchScript file of a network with weights from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.jit.script(kind()).save(str(path))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return save(tmp_path / "network.pt")


def faces(count: int, side: int = SIDE) -> list[np.ndarray]:
    return list(np.random.default_rng(5).integers(0, 256, (count, side, side, 3), np.uint8))


def loaded(path: Path, size: int | None = None) -> Any:
    features = Features(model=str(path), size=size)
    return load_extractor(features, features_digest(features))


def test_a_network_gets_rgb_from_0_to_1_with_channels_first(tmp_path: Path) -> None:
    extractor = loaded(save(tmp_path / "mean.pt", Mean))
    [face] = faces(1)
    [row] = extractor.extract([face])
    assert row.dtype == np.float32 and row.shape == (3,)
    assert np.allclose(row, face.mean(axis=(0, 1)) / 255, atol=1e-6)


@pytest.mark.parametrize("cuts", [[1] * 40, [7, 33], [16, 16, 8], [39, 1], [0, 40]])
def test_the_same_bytes_in_any_grouping(network: Path, cuts: list[int]) -> None:
    extractor, all_faces = loaded(network), faces(40)
    whole = [row.tobytes() for row in extractor.extract(all_faces)]
    assert len(set(whole)) == 40
    found: list[bytes] = []
    for count in cuts:
        found += [row.tobytes() for row in extractor.extract(all_faces[len(found) : len(found) + count])]
    assert found == whole
    assert [row.tobytes() for row in extractor.extract(all_faces[::-1])] == whole[::-1]


def test_a_network_always_sees_as_many_faces(tmp_path: Path) -> None:
    extractor = loaded(save(tmp_path / "count.pt", Count))
    for count in (1, BATCH, BATCH + 1):
        assert {float(row[0]) for row in extractor.extract(faces(count))} == {float(BATCH)}
    assert extractor.extract([]) == []


def test_a_crop_comes_in_the_size_that_the_network_wants(tmp_path: Path) -> None:
    sized = loaded(save(tmp_path / "size.pt", Size), 32)
    assert {float(value) for value in sized.extract(faces(2))[0]} == {32032.0}


@pytest.mark.parametrize(
    ("kind", "what", "side"),
    [
        (Same, r"must return \(N, D\) for N faces.*\(16, 3, 24, 24\)", SIDE),
        (OneNumber, r"must return \(N, D\)", SIDE),
        (OneRow, r"must return \(N, D\) for N faces.*\(1, 1728\)", SIDE),
        (Two, "fails on the faces", SIDE),
        (Network, "fails on the faces", SIDE + 1),
    ],
)
def test_a_network_that_returns_something_else_is_named(tmp_path: Path, kind: type, what: str, side: int) -> None:
    extractor = loaded(save(tmp_path / "bad.pt", kind))
    with pytest.raises(RecipeError, match=what) as caught:
        extractor.extract(faces(1, side))
    assert caught.value.where == "$.output.features.model"


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_torchscript_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(RecipeError, match=r"not a TorchScript file \(got PytorchStreamReader failed[^.]*\)\. "):
        loaded(tmp_path / "x.pt")


def test_weights_alone_are_no_network(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "x.pt")
    with pytest.raises(RecipeError, match="not a TorchScript file"):
        loaded(tmp_path / "x.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot be read \(No such file") as caught:
        features_digest(Features(model=str(tmp_path / "none.pt")))
    assert "none.pt" in str(caught.value)


def test_pipes_devices_and_folders_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(RecipeError, match=r"cannot be read \(it is a") as caught:
            features_digest(Features(model=str(path)))
        assert str(caught.value).isprintable()


def test_another_file_is_another_digest_and_another_network(network: Path) -> None:
    features = Features(model=str(network))
    before, [row] = features_digest(features), loaded(network).extract(faces(1))
    save(network, seed=1)
    after, [other] = features_digest(features), loaded(network).extract(faces(1))
    assert before != after and not np.array_equal(row, other)


def recipe(photos: Path, model: Path, side: int = SIDE) -> Recipe:
    plain = {
        "name": "x", "sources": [{"path": str(photos), "name": "s"}], "faces": {"min_size": 0},
        "align": {"mode": "face_box", "size": side}, "morph": {"neighbours": 1, "texture_size": 16},
        "output": {"image": "png", "features": {"model": str(model)}},
    }  # fmt: skip
    return parse_recipe(plain)


@pytest.mark.parametrize("fault", ["missing", "no network", "wrong size", "wrong shape"])
def test_what_cannot_work_is_refused_before_any_work(synthetic: SimpleNamespace, tmp_path: Path, fault: str) -> None:
    table = synthetic.lay_photos(tmp_path / "photos", range(2), people=2)
    model = tmp_path / "network.pt"
    if fault == "no network":
        model.write_bytes(b"text")
    elif fault != "missing":
        save(model, Same if fault == "wrong shape" else Network)
    with pytest.raises(RecipeError) as caught:
        prepare(recipe(table, model, side=SIDE + 1 if fault == "wrong size" else SIDE), str(tmp_path / "out"))
    assert caught.value.where == "$.output.features.model" and not (tmp_path / "out").exists()


def test_a_network_for_other_pictures_fits_if_the_recipe_says_the_size(network: Path, tmp_path: Path) -> None:
    how = recipe(tmp_path, network, side=40)
    with pytest.raises(RecipeError, match="fails on the faces"):
        check_features(how)
    features = Features(model=str(network), size=SIDE)
    check_features(how.model_copy(update={"output": how.output.model_copy(update={"features": features})}))


def members(out: Path, ending: str) -> dict[str, bytes]:
    found = {}
    for shard in sorted((out / "shards").glob("*.tar")):
        with tarfile.open(shard) as tar:
            for member in tar:
                if member.name.endswith(ending):
                    found[member.name.removesuffix(ending)] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return found


@pytest.fixture
def built(
    synthetic: SimpleNamespace, network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Path]:
    """A function that builds the same photos with a number of workers."""
    monkeypatch.setattr(analysis, "load_landmarks", lambda faces: None)
    table = synthetic.lay_photos(tmp_path / "photos", range(10), people=5)

    def build(workers: int) -> Path:
        out = tmp_path / f"out{workers}"
        run_build(prepare(recipe(table, network), str(out)), workers=workers, resume=True, watcher=Watcher())
        return out

    return build


def test_each_sample_holds_what_the_network_says_of_its_own_face(
    synthetic: SimpleNamespace, network: Path, built: Callable[[int], Path]
) -> None:
    out = built(1)
    said, shown = members(out, ".features.npy"), members(out, ".face.png")
    assert len(said) == len(shown) == 20
    extractor = loaded(network)
    for key, data in said.items():
        [row] = extractor.extract([np.ascontiguousarray(synthetic.decoded(shown[key]))])
        assert np.array_equal(np.load(io.BytesIO(data)), row), "of morphs too"
    record = json.loads((out / "build.json").read_text())
    assert record["recipe"]["output"]["features"]["model"] == "network.pt", "no path of this machine"


@pytest.mark.slow
def test_one_and_two_workers_write_the_same_features(built: Callable[[int], Path]) -> None:
    assert members(built(1), ".features.npy") == members(built(2), ".features.npy")
