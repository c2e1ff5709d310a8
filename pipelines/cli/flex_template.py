"""Start a build from a Flex Template of Dataflow: parameters in, the words of `faceloom build` out.

The launcher of the template runs this file with `--name=value` for each parameter of the template, and with the options
of Beam that Dataflow sets. docs/dataflow-template.json describes the parameters.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

PARAMETERS = ("recipe", "source", "out", "image", "licence", "consent")
"""Names of the parameters, in order. All but `recipe`, the argument, are options of `faceloom build`."""
_OPTIONS = ("project", "region")
_IMAGE = "sdk_container_image"
"""Beam's name of `image`: Dataflow passes it on if the template was launched with an image of its own."""
_DROPPED = ("runner",)


def build_words(given: Sequence[str]) -> list[str]:
    """Words of the command line for the arguments of the launcher.

    Args:
        given: `--name=value`, or `--name` alone. Parameters of the template, `project` and `region` become options of
            `faceloom build`; the rest are options of Beam, such as `--template_location`.

    Returns:
        `build RECIPE --runner dataflow …`, and options of Beam after `--`. Parameters that are empty are left out.
    """
    known: dict[str, str] = {}
    beam: list[str] = []
    for word in given:
        name, sign, value = word.removeprefix("--").partition("=")
        if name == _IMAGE:
            known.setdefault("image", value)
        elif name in (*PARAMETERS, *_OPTIONS) and word.startswith("--") and sign:
            known[name] = value or known.get(name, "")
        elif name not in _DROPPED:
            beam.append(word)
    recipe = known.pop("recipe", "")
    options = [word for name in (*PARAMETERS, *_OPTIONS) if known.get(name) for word in (f"--{name}", known[name])]
    return ["build", *([recipe] if recipe else []), "--runner", "dataflow", *options, "--", *beam]


def main() -> None:
    """Run `faceloom build` with the arguments of the launcher."""
    from faceloom.pipelines.cli.app import main as run

    sys.argv[1:] = build_words(sys.argv[1:])
    run()


if __name__ == "__main__":
    main()
