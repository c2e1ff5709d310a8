"""A finished training run, made once for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from faceloom.models.curve import CURVE
from faceloom.pipelines.training import run_folder
from tests.pipelines.training.runs import THREADS, run


@pytest.fixture(autouse=True, scope="module")
def no_pictures() -> Iterator[None]:
    """Drawing takes longer than training here; what is drawn has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_folder, "draw_curve", lambda folder, *rest: (folder / CURVE).touch())
        yield


@pytest.fixture(autouse=True, scope="module")
def threads() -> Iterator[None]:
    """The same number here and in processes of their own: it decides the order of sums, and so the last bits."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(pairs_build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(pairs_build, folder)
    return folder
