"""Every evaluation is of a training job, and its function exists."""

from __future__ import annotations

from importlib import import_module

from faceloom.models.presets import JOBS
from faceloom.pipelines.evaluation.job_names import EVALUATIONS


def test_each_evaluation_has_a_job_and_a_function() -> None:
    assert set(EVALUATIONS) <= set(JOBS) - {"autoencoder"}
    for job, spec in EVALUATIONS.items():
        for name in (spec.function, spec.check or spec.function):
            assert callable(getattr(import_module(f"faceloom.pipelines.evaluation.{job}"), name))
        assert spec.help.endswith(".")
