"""Tasks of jobs: what is found wrong before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("webdataset")

from faceloom.pipelines.evaluation.job_task import has_train, prepare_job
from faceloom.schemas.errors import CheckpointError, FaceloomError


def test_a_folder_without_a_run_is_refused(masked_build: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        prepare_job("editor", [tmp_path], str(masked_build), "test")


def test_a_split_that_the_build_lacks_is_refused(masked_build: Path, tmp_path: Path) -> None:
    with pytest.raises(FaceloomError, match=r"no samples in this build .got val.*The build has: .*test.*--split"):
        prepare_job("editor", [tmp_path], str(masked_build), "val")


def test_a_task_without_runs_knows_its_people(masked_build: Path) -> None:
    task = prepare_job("editor", [], str(masked_build), "test", device="cpu")
    assert has_train(task) and len(task.people) == task.protocol.samples and set(task.shown) <= set(task.people)
