"""The words of a Flex Template's launcher become those of `faceloom build`; the description of its parameters fits."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from click import Command
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.cli import app, flex_template
from faceloom.pipelines.cli.flex_template import PARAMETERS, build_words

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE: dict[str, Any] = json.loads((ROOT / "docs" / "dataflow-template.json").read_text())
BY_NAME = {each["name"]: each for each in TEMPLATE["parameters"]}
LAUNCHED = [
    "--runner=DataflowRunner",
    "--project=some-project",
    "--region=europe-west4",
    "--template_location=gs://bucket/staging/job_object",
    "--job_name=launch-1",
    "--recipe=masked-pairs",
    "--source=gs://bucket/a,gs://bucket/b",
    "--out=gs://bucket/a=b",
    "--sdk_container_image=gcr.io/p/worker:1",
    "--temp_location",
    "gs://bucket/temp",
    "--no_use_public_ips",
    "--replace=false",
    "--consent=",
]


def build_command() -> Command:
    """The command `faceloom build`."""
    command = typer.main.get_command(app.app)
    return command.commands["build"]  # type: ignore[attr-defined]


def test_every_parameter_of_the_template_is_one_of_the_command_line() -> None:
    assert tuple(BY_NAME) == PARAMETERS
    for parameter in build_command().params:
        if parameter.name in BY_NAME:
            needed = parameter.required or parameter.name == "image"  # Dataflow needs it, other runners have no image
            assert BY_NAME[parameter.name]["isOptional"] is not needed, parameter.name
            assert parameter.param_type_name == "argument" or f"--{parameter.name}" in parameter.opts
    assert set(PARAMETERS) <= {parameter.name for parameter in build_command().params}


def test_descriptions_have_the_keys_of_google() -> None:
    assert set(TEMPLATE) == {"name", "description", "parameters"}
    for each in TEMPLATE["parameters"]:
        assert {"name", "label", "helpText", "isOptional"} <= set(each) <= {*each, "regexes"} and each["label"]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("recipe", ("masked-pairs", "gs://b/r.yaml", "gs://b/a/r.yml"), ("gs://b/r.json", "a b")),
        ("source", ("gs://b/photos", "gs://b/a,gs://b/b"), ("photos", "s3://b/photos")),
        ("out", ("gs://b/out",), ("/out",)),
        ("image", ("eu.gcr.io/p/faceloom:0.2.0", "r/faceloom@sha256:00"), ("r/faceloom",)),
        ("replace", ("true", "false"), ("yes",)),
    ],
)
def test_patterns_of_parameters(name: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    [pattern] = BY_NAME[name]["regexes"]
    assert all(re.fullmatch(pattern, value) for value in right)
    assert not any(re.fullmatch(pattern, value) for value in wrong)


def test_parameters_are_options_of_ours_and_all_others_are_of_beam() -> None:
    assert build_words(LAUNCHED) == [
        *("build", "masked-pairs", "--source=gs://bucket/a", "--source=gs://bucket/b", "--out=gs://bucket/a=b"),
        *("--image=gcr.io/p/worker:1", "--project=some-project", "--region=europe-west4"),
        *("--runner", "dataflow", "--", "--template_location=gs://bucket/staging/job_object", "--job_name=launch-1"),
        *("--temp_location=gs://bucket/temp", "--no_use_public_ips"),
    ]


@pytest.mark.parametrize("more", [[], ["--image="], ["--image=r/f:1"]])
@pytest.mark.parametrize("first", [True, False])
def test_an_image_of_the_launch_counts_where_no_parameter_names_one(more: list[str], first: bool) -> None:
    words = build_words(["--sdk_container_image=r/f:2", *more] if first else [*more, "--sdk_container_image=r/f:2"])
    assert [word for word in words if "r/f" in word] == [
        "--image=r/f:1" if "--image=r/f:1" in more else "--image=r/f:2"
    ]


@pytest.mark.parametrize(
    ("value", "given"), [("--replace", True), ("--replace=true", True), ("--replace=false", False)]
)
def test_a_flag_is_a_word_or_a_value(value: str, given: bool) -> None:
    assert ("--replace" in build_words([value])) == given


@given(
    st.dictionaries(st.sampled_from(PARAMETERS[2:-1]), st.text(min_size=1)),
    st.lists(st.from_regex(r"--[xyz]_\w*=.*", fullmatch=True)),
)
def test_no_argument_is_lost(values: dict[str, str], of_beam: list[str]) -> None:
    words = build_words([*of_beam, *(f"--{name}={value}" for name, value in values.items())])
    end = words.index("--runner")
    assert sorted(words[1:end]) == sorted(f"--{name}={value}" for name, value in values.items())
    assert words[end:] == ["--runner", "dataflow", "--", *of_beam]


def test_the_launcher_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(app, "main", lambda: ran.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["flex_template.py", *LAUNCHED])
    flex_template.main()
    assert ran == [build_words(LAUNCHED)]
