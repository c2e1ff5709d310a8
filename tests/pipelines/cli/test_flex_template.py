"""The entry of a Flex Template: parameters become words of the command line, and their description fits both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from click import Command
from hypothesis import given
from hypothesis import strategies as st

from faceloom.pipelines.cli.app import app
from faceloom.pipelines.cli.flex_template import PARAMETERS, build_words

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE: dict[str, Any] = json.loads((ROOT / "docs" / "dataflow-template.json").read_text())
BY_NAME = {each["name"]: each for each in TEMPLATE["parameters"]}


def build_command() -> Command:
    """The command `faceloom build`."""
    command = typer.main.get_command(app)
    return command.commands["build"]  # type: ignore[attr-defined, no-any-return]


def test_every_parameter_of_the_template_is_one_of_the_command_line() -> None:
    assert tuple(BY_NAME) == PARAMETERS
    for parameter in build_command().params:
        if parameter.name in BY_NAME:
            needed = parameter.required or parameter.name == "image"  # Dataflow needs it, other runners have no image
            assert BY_NAME[parameter.name]["isOptional"] is not needed, parameter.name
            assert parameter.param_type_name == "argument" or f"--{parameter.name}" in parameter.opts
    assert set(PARAMETERS) <= {parameter.name for parameter in build_command().params}


def test_descriptions_are_what_google_accepts() -> None:
    assert set(TEMPLATE) == {"name", "description", "parameters"}
    for each in TEMPLATE["parameters"]:
        assert {"name", "label", "helpText", "isOptional"} <= set(each) <= {*each, "regexes"} and each["label"]
        assert all(re.compile(pattern) for pattern in each.get("regexes", ()))


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("recipe", ("masked-pairs", "gs://b/r.yaml", "gs://b/a/r.yml"), ("gs://b/r.json", "a b")),
        ("source", ("gs://b/photos",), ("photos", "s3://b/photos")),
        ("out", ("gs://b/out",), ("/out",)),
        ("image", ("eu.gcr.io/p/faceloom:0.2.0", "r/faceloom@sha256:00"), ("r/faceloom",)),
    ],
)
def test_patterns_of_parameters(name: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    [pattern] = BY_NAME[name]["regexes"]
    assert all(re.fullmatch(pattern, value) for value in right)
    assert not any(re.fullmatch(pattern, value) for value in wrong)


def test_arguments_of_the_launcher_become_a_build() -> None:
    of_beam = ["--job_name=faces", "--template_location=gs://b/t", '--labels={"a": "b"}', "--save_main_session"]
    ours = ["--recipe=masked-pairs", "--source=gs://b/photos", "--out=gs://b/a=b", "--image=r/f:1", "--consent="]
    words = build_words([*of_beam, *ours, "--runner=DataflowRunner", "--project=p", "--region=europe-west1"])
    named = ["--source", "gs://b/photos", "--out", "gs://b/a=b", "--image", "r/f:1"]
    rest = ["--project", "p", "--region", "europe-west1", "--", *of_beam]
    assert words == ["build", "masked-pairs", "--runner", "dataflow", *named, *rest]


@pytest.mark.parametrize("more", [(), ("--image=",), ("--image=r/f:1",)])
def test_an_image_of_the_launch_counts_where_no_parameter_names_one(more: tuple[str, ...]) -> None:
    words = build_words(["--sdk_container_image=r/f:2", *more])
    assert words[words.index("--image") + 1] == ("r/f:1" if "--image=r/f:1" in more else "r/f:2")
    assert not [word for word in words if "sdk_container" in word]


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.text(min_size=1)), st.lists(st.from_regex(r"--[xyz]_\w*=.*")))
def test_no_argument_is_lost(values: dict[str, str], of_beam: list[str]) -> None:
    words = build_words([*of_beam, *(f"--{name}={value}" for name, value in values.items())])
    end = words.index("--runner")
    assert words[1:end] == ([values["recipe"]] if "recipe" in values else [])
    options = words[end + 2 : len(words) - len(of_beam) - 1]
    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        f"--{name}": value for name, value in values.items() if name != "recipe"
    }
    assert words[len(words) - len(of_beam) :] == of_beam
