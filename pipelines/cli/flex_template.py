"""What the launcher of a Dataflow Flex Template runs: `faceloom build`, with the launcher's parameters as its options.

The launcher passes parameters of the template and options of Beam alike, as `--name=value`, some with names of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

PARAMETERS = ("recipe", "source", "out", "image", "licence", "consent", "replace")
"""Parameters of the template, which docs/dataflow-template.json describes: the argument `recipe` and options of
`faceloom build`. `source` may hold several, with commas between them."""
_OPTIONS = (*PARAMETERS[1:], "project", "region")
_IMAGE = "sdk_container_image"
"""Beam's name of `image`, which the launcher passes if the template was launched with it."""
_DROPPED = ("runner",)


def build_words(words: Iterable[str]) -> list[str]:
    """The words of the command for those that the launcher passes. Parameters without a value are left out.

    >>> build_words(["--recipe=r.yaml", "--out=gs://b/o", "--runner=DataflowRunner", "--max_num_workers=5"])
    ['build', 'r.yaml', '--out=gs://b/o', '--runner', 'dataflow', '--', '--max_num_workers=5']
    """
    ours: dict[str, list[str]] = {}
    beam: list[str] = []
    for name, value in _pairs(words):
        if name == "recipe":
            ours[name] = [value] if value else []
        elif name == "replace":
            ours[name] = ["--replace"] if value in (None, "true") else []
        elif name == _IMAGE:
            ours.setdefault("image", [f"--image={value}"] if value else [])
        elif name in _OPTIONS and value:
            ours[name] = [f"--{name}={one}" for one in (value.split(",") if name == "source" else [value])]
        elif name not in (*_OPTIONS, *_DROPPED):
            beam.append(f"--{name}" if value is None else f"--{name}={value}")
    named = [word for name in ("recipe", *_OPTIONS) for word in ours.get(name, [])]
    return ["build", *named, "--runner", "dataflow", "--", *beam]


def _pairs(words: Iterable[str]) -> list[tuple[str, str | None]]:
    """Names and values of options, which are one word or two."""
    found: list[tuple[str, str | None]] = []
    for word in words:
        if word.startswith("--"):
            name, sign, value = word[2:].partition("=")
            found.append((name, value if sign else None))
        elif found:
            found[-1] = found[-1][0], word
    return found


def main() -> None:
    """Run `faceloom build` with the launcher's words."""
    from faceloom.pipelines.cli.app import main as run

    sys.argv = [sys.argv[0], *build_words(sys.argv[1:])]
    run()


if __name__ == "__main__":
    main()
