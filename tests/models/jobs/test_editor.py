"""The editor's job: it learns what lies under a mask, and its discriminators learn too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from faceloom.models.detector.predict import MaskDetector  # noqa: E402
from faceloom.models.job import find_job, make_job  # noqa: E402
from faceloom.models.jobs.editor import EditorJob, hole_of, seen  # noqa: E402
from faceloom.models.presets import presets_of  # noqa: E402
from faceloom.models.training import train  # noqa: E402
from faceloom.schemas.errors import CheckpointError, TrainingError  # noqa: E402
from faceloom.schemas.recipe import Align  # noqa: E402

TINY: Any = presets_of("editor")["tiny-editor"]


def test_it_learns_what_lies_under_a_mask(tiny: SimpleNamespace) -> None:
    assert find_job("editor") is EditorJob
    batches = tiny.dealt(tiny.make_pairs(16, 24), 4)
    preset = replace(TINY, epochs=6, width=4, learning_rate=3e-3, squeeze_after=(), region_from=0)
    snapshot = train(make_job("editor", preset), batches, batches, seed=0)
    assert snapshot.losses[-1].train < 0.65 * snapshot.losses[0].train
    assert set(snapshot.losses[-1].more) == {"generator", "critic", "fooled", "held_out_l1"}


def test_a_second_discriminator_joins_later(tiny: SimpleNamespace) -> None:
    batches = tiny.dealt(tiny.make_pairs(4, 24), 4)
    seen_weights: list[Any] = []
    train(
        make_job("editor", TINY),
        batches,
        batches,
        on_epoch=lambda one: seen_weights.append({name: value.clone() for name, value in one.network.items()}),
    )
    first, second = seen_weights
    changed = {name.split(".")[0] for name in first if not torch.equal(first[name], second[name])}
    assert changed == {"editor", "critic", "region"}
    start = make_job("editor", TINY)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = start.network().state_dict()
    assert all(torch.equal(fresh[name], first[name]) for name in first if name.startswith("region.score.0"))


def test_the_hole_covers_soft_edges_and_grows() -> None:
    mask = torch.zeros(1, 1, 7, 7)
    mask[0, 0, 3, 3] = 0.2
    assert hole_of(mask, 0).sum() == 1 and hole_of(mask, 1).sum() == 9 and hole_of(mask, 2).sum() == 25
    assert hole_of(mask * 0.2, 1).sum() == 0


def test_the_discriminator_of_the_region_sees_the_hole_alone() -> None:
    picture, hole = torch.ones(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    hole[..., 1] = 1
    assert seen(picture, hole, "region").sum() == 12 and seen(picture, hole, "critic") is picture


def test_samples_are_mirrored_whole() -> None:
    part = torch.arange(4.0).expand(64, 1, 2, 4)
    varied = make_job("editor", TINY).varied({"face": part, "mask": part}, torch.Generator().manual_seed(0))
    assert torch.equal(varied["face"], varied["mask"])
    kinds = {tuple(one[0, 0].tolist()) for one in varied["face"]}
    assert kinds == {(0, 1, 2, 3), (3, 2, 1, 0)}


def test_the_product_is_the_editor_without_its_discriminators() -> None:
    job = make_job("editor", TINY)
    network: Any = job.network()
    assert job.product(network) is network["editor"]


def test_with_a_detector_it_paints_what_that_finds(
    tiny: SimpleNamespace, tmp_path: Path, write_detector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_faces: list[Any] = []

    def find(self: MaskDetector, faces: Any) -> Any:
        seen_faces.append(faces)
        found = np.zeros(faces.shape[:3], bool)
        found[:, 5, 5] = True
        return found

    monkeypatch.setattr(MaskDetector, "find", find)
    job = make_job("editor", TINY, {"detector": write_detector(tmp_path / "det")})
    [batch] = tiny.dealt(tiny.make_pairs(3, 24), 3)(1)
    assert isinstance(job, EditorJob)
    assert torch.equal(job._hole(batch).nonzero()[:, 0].bincount(), torch.tensor([9, 9, 9])), "grown by a pixel"
    assert seen_faces[0].dtype == np.uint8 and seen_faces[0].shape == (3, 24, 24, 3)
    assert np.abs(seen_faces[0][0] / 255 - batch["masked"][0].permute(1, 2, 0).numpy()).max() <= 0.5 / 255 + 1e-6


def test_the_detector_must_know_the_crops_of_the_build(tmp_path: Path, write_detector: Any, tiny_run: Path) -> None:
    def facts(**align: Any) -> Any:
        return SimpleNamespace(settings=SimpleNamespace(align=Align.model_validate({"size": 16, **align})))

    det = write_detector(tmp_path / "det")
    EditorJob.check_files(TINY, facts(mode="eye_level"), {})
    EditorJob.check_files(TINY, facts(mode="eye_level"), {"detector": det})
    with pytest.raises(TrainingError, match=r"crops of another size or alignment \(got eye_level 16x16"):
        EditorJob.check_files(TINY, facts(mode="face_box", margin=0.2), {"detector": det})
    with pytest.raises(CheckpointError, match=r"the network is no detector \(got autoencoder\)"):
        EditorJob.check_files(TINY, facts(mode="eye_level"), {"detector": tiny_run})


def test_features_add_a_loss(tiny: SimpleNamespace, tmp_path: Path) -> None:
    from tests.models.editor.test_perceptual import Means, saved

    files = {"features": saved(Means(), tmp_path / "f.pt")}
    batches = tiny.dealt(tiny.make_pairs(4, 24), 4)
    plain, more = (
        train(make_job("editor", replace(TINY, epochs=1, perceptual_weight=1e3), given), batches, batches).losses[0]
        for given in (None, files)
    )
    assert more.more["generator"] > plain.more["generator"] + 1
    (tmp_path / "x.pt").write_bytes(b"x")
    facts: Any = SimpleNamespace(settings=None)
    with pytest.raises(TrainingError, match="the features cannot be used"):
        EditorJob.check_files(TINY, facts, {"features": tmp_path / "x.pt"})
