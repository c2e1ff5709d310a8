"""Settings of all tests."""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from faceloom.pipelines.run import worker_pool
from faceloom.pipelines.run.local_run import _Run
from tests.dask_cluster import Cluster, cluster_of

# Two processes run tests. Libraries with a thread for each processor would wait for each other.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# How long one example takes says more about the machine's other work than about ours.
settings.register_profile("faceloom", deadline=None, derandomize=True, max_examples=25)
# `HYPOTHESIS_PROFILE=thorough make test-all` tries more of them, and `random` looks for new ones.
settings.register_profile("thorough", deadline=None, derandomize=True, max_examples=200)
settings.register_profile("random", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "faceloom"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests without looking for garbage: a third of the time went into looking at all imported modules."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()  # later searches leave out what stays until the end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give slow tests half an hour before they count as hanging."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Networks that a test makes begin with the same weights in each run."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


_BEAM = _Run.pipeline


def _loop(run: _Run, tasks: Sequence[Any], threads: int) -> dict[str, float]:
    """What the pipeline does with one worker. Beam takes half a second of processor time for each pipeline."""
    if run.pool:
        return _BEAM(run, tasks, threads)
    seconds: Counter[str] = Counter()
    groups: dict[str, Any] = {}
    with run._noting_errors():
        for task in tasks:
            key, value, spent = run._do(task)
            groups.setdefault(key, value)
            seconds.update(spent)
        for value in groups.values():
            if run._then:
                run._then(value)
    return dict(seconds)


PRELOADED = ("faceloom.pipelines.preload.faces",)
"""What worker processes find imported, as they do in builds for users. Without it each of them takes seconds."""


@pytest.fixture(scope="session", autouse=True)
def quick_builds() -> Iterator[None]:
    """Builds in this process do not wait for the disk, and with one worker do without Beam; see `beam`."""
    start_server = worker_pool.start_server
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_pool, "start_server", lambda modules=PRELOADED: start_server(modules))
        patch.setattr(os, "fsync", lambda handle: None)
        patch.setattr(_Run, "pipeline", _loop)
        yield


@pytest.fixture
def beam(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds run as they do for users."""
    monkeypatch.setattr(_Run, "pipeline", _BEAM)


def write_run(
    folder: Path,
    preset: str = "tiny-compact",
    seed: int = 0,
    align: dict[str, object] | None = None,
    job: str = "autoencoder",
    **options: Any,
) -> Path:
    """A run folder as training writes it, with weights that learned nothing; `options` change the preset."""
    torch = pytest.importorskip("torch")
    from faceloom.models.checkpoint import BEST, LAST, WHATS, write_card, write_weights
    from faceloom.models.job import make_job
    from faceloom.models.presets import preset_values, presets_of
    from faceloom.schemas.model_card import DataCard, ModelCard
    from faceloom.schemas.recipe import Align

    torch.manual_seed(seed)
    chosen = replace(presets_of(job)[preset], **options)
    network = make_job(job, chosen).network()
    files = {name: write_weights(folder / name, network.state_dict()) for name in (BEST, LAST)}
    data = DataCard(
        name="x", digest="0" * 64, plan="0" * 64,
        align=Align.model_validate({"size": chosen.size, **(align or {"mode": "eye_level"})}),
        masks={"surgical": 4}, licences={"CC0": 4}, consents={}, train=4, held_out=1, held_out_from="train",
    )  # fmt: skip
    card = ModelCard(
        what=WHATS[job != "autoencoder"], job=job, preset=preset, size=chosen.size, parameters=1,
        hyper_parameters=preset_values(chosen), unstated_in_paper=(),
        seed=seed, epochs_done=1, finished=True, metrics={}, device="cpu", precision="float32", code="0", torch="0",
        data=data, files=files,
    )  # fmt: skip
    write_card(folder, card)
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny network that masks eye-level crops of 16 x 16 at random."""
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def write_detector() -> Callable[..., Path]:
    """Writes a run of an untrained tiny detector of masks, for eye-level crops of 16 x 16, into a folder."""
    return partial(write_run, preset="tiny", job="detector")


@pytest.fixture(scope="session")
def write_editor() -> Callable[..., Path]:
    """Writes a run of an untrained tiny mask editor, for eye-level crops of 24 x 24, into a folder."""
    return partial(write_run, preset="tiny-editor", job="editor")


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Dask cluster of two workers on this machine; tests must not change it."""
    pytest.importorskip("distributed")
    with cluster_of(tmp_path_factory.mktemp("dask") / "cluster", workers=2) as cluster:
        yield cluster
