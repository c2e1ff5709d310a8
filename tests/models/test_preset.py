"""What all presets have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from faceloom.models.preset import Preset, option, options_of
from faceloom.models.presets import JOBS, default_preset, presets_of


@dataclass(frozen=True, kw_only=True)
class Own(Preset):
    """A preset with an option."""

    loss: str = field(default="sde", metadata=option("Which loss."))


def test_fields_marked_as_options_are_listed_with_their_help() -> None:
    assert options_of(Own) == {"loss": "Which loss."} and options_of(Preset) == {}
    assert Own(name="x", batch=1, learning_rate=1.0).loss == "sde"


def test_every_job_has_presets_and_texts() -> None:
    for job, spec in JOBS.items():
        assert spec.help.endswith(".") and spec.preset_help and spec.examples
        assert not default_preset(job).startswith("tiny") and "paper" in presets_of(job)
        assert any(f"faceloom train {job} " in line for line in spec.examples)
