"""What a Dataflow job is started with: its name, labels, image and needs. It is checked before any work."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from faceloom.models.checkpoint import BEST
from faceloom.pipelines.run.runners import Dataflow, DataflowBuild
from faceloom.pipelines.store.paths import JOBS
from faceloom.pipelines.store.store_path import file_in_store
from faceloom.schemas.errors import FaceloomError, RecipeError, StorageError, WorkerError
from faceloom.schemas.face_options import OnnxDetector
from faceloom.schemas.keys import digest
from faceloom.schemas.masks import AutoencoderMask, named_files
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.urls import url_of

PROCESS_BYTES = 700 * 2**20
"""Memory of a worker process without its photo: libraries, models, samples of a chunk; see docs/performance.md."""
NETWORK_BYTES = 2**30
"""Memory that PyTorch takes beside the weights: the library, and the layers of a batch."""
CORES = 2
"""Cores of a machine that Dataflow chooses. It starts a worker process for each."""
_MACHINE_BYTES = 2**30
_MEMORY_LIMIT_GB = 600

_OURS = {
    **{"runner": "--runner", "project": "--project", "region": "--region", "dry_run": "--dry-run"},
    **dict.fromkeys(("sdk_container_image", "worker_harness_container_image"), "--image"),
}
"""Options of Beam, by the option of ours that sets them."""
_NEVER = {
    **dict.fromkeys(
        ("setup_file", "requirements_file", "extra_packages", "files_to_stage"), "Put packages in the image"
    ),
    **dict.fromkeys(("sdk_harness_container_image_overrides", "prebuild_sdk_container_engine"), "Use --image"),
    **dict.fromkeys(("sdk_location", "save_main_session", "pickle_library"), "The image holds all code"),
    "number_of_worker_harness_threads": "dlib's detectors cannot be shared by threads, so there is one",
    "streaming": "A build is a batch job",
    "update": "Only streaming jobs can be updated",
}
NO_CREDENTIALS = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")
_KNOWN_REGION = re.compile(
    r"(africa|asia|australia|europe|me|northamerica|southamerica|us)-(?=[a-z])(north|south)?(east|west|central|north|south)?[0-9]{1,2}"
)
"""How Google has named all regions so far."""
_RELEASE = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+)")
_FOLDER = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9]/[^\n]+")
"""Beam makes a bucket of its own if it does not like the name of another one."""
_JOB_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)+(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_TAGGED = re.compile(r"@sha256:|:[^/:]+$")


def check_options(dataflow: Dataflow) -> None:
    """Check what needs neither the recipe nor a network.

    Raises:
        WorkerError: Beam's packages for Google Cloud are missing, or a value or option is wrong.
    """
    _require_packages()
    _check_values(dataflow)
    beam_options(dataflow.options)


def check_dataflow(dataflow: DataflowBuild, recipe: Recipe) -> DataflowBuild:
    """Check a runner before any work; returns it with what the recipe needs. A dry run needs no network for it.

    Raises:
        WorkerError: Beam's packages for Google Cloud are missing, a value or option is wrong, or there are no
            credentials.
        RecipeError: a source or the output is no URL. A dry run notes this in `refused` instead, and also if there is
            no folder for the files of the job.
    """
    check_options(dataflow)
    options = beam_options(dataflow.options)
    # Only the scan reads a table, and it runs here.
    places = [
        place for spec in recipe.sources for place in (spec.root or spec.path, spec.labels, spec.masked, spec.maps)
    ]
    local = tuple(place for place in (*places, dataflow.folder) if place and not url_of(place))
    refused: list[FaceloomError] = []
    if local:
        what, shown = "Dataflow's workers cannot reach a folder of this machine", ", ".join(dict.fromkeys(local))
        remedy = "Copy it to a bucket, and give its URL, such as gs://bucket/folder"
        refused.append(RecipeError(what, value=shown, remedy=remedy))
    if not temp_folder(dataflow, options):
        what, remedy = "a Dataflow job needs a folder in Google Cloud Storage", "Name one for its files"
        remedy += ": -- --temp_location=gs://bucket/folder"
        refused.append(WorkerError(what, value=dataflow.folder, remedy=remedy))
    if refused and not dataflow.dry_run:
        raise refused[0]
    if not (dataflow.dry_run or options.get("no_auth")):
        _require_credentials()
    recipe_json = recipe.model_dump_json(exclude_unset=True, by_alias=True)
    return replace(
        dataflow,
        build=digest(recipe_json, dataflow.folder)[:12],
        recipe=recipe.name,
        memory=memory_of(recipe),
        files=tuple(files_of(recipe)),
        refused=tuple(map(str, refused)),
    )


def memory_of(recipe: Recipe) -> int:
    """Bytes that a worker process takes at most: itself, the largest photo twice, and networks."""
    networks = {f"{mask.checkpoint.rstrip('/')}/{BEST}" for mask in recipe.masks if isinstance(mask, AutoencoderMask)}
    if recipe.faces.masked:
        networks.add(f"{recipe.faces.masked.detector.rstrip('/')}/{BEST}")
    if recipe.output.features and recipe.output.features.file:
        networks.add(recipe.output.features.file)
    if parser := recipe.used_parser:
        networks.add(parser.onnx)
    weights = NETWORK_BYTES + sum(map(_length_of, networks)) if networks else 0
    return PROCESS_BYTES + 2 * 3 * recipe.faces.max_pixels + weights


def _length_of(path: str) -> int:
    """Length of a file by its path or URL; 0 if it cannot be asked for, which the build reports."""
    with contextlib.suppress(OSError, StorageError):
        if url := url_of(path):
            file = file_in_store(url)
            return file.storage.size(file.path)
        return Path(path).stat().st_size
    return 0


def files_of(recipe: Recipe) -> list[str]:
    """Files and folders that a recipe names by a path and the workers read. They fetch those of a URL themselves."""
    detector, parser = recipe.faces.detector, recipe.used_parser
    named = [recipe.faces.landmark_model, recipe.output.features and recipe.output.features.file]
    named.append(recipe.faces.masked.detector if recipe.faces.masked else None)
    named.append(detector.onnx if isinstance(detector, OnnxDetector) else None)
    named.append(parser.onnx if parser else None)
    named += [path for mask in recipe.masks for path in named_files(mask).values()]
    return sorted({path for path in named if path and not url_of(path)})


def beam_options(words: Iterable[str]) -> dict[str, Any]:
    """The options of Beam among some words that differ from their defaults, by name.

    Raises:
        WorkerError: Beam does not know an option, its value is wrong, or faceloom sets it.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    given = list(words)
    for before, word in zip(["", *given], given):
        if not word.startswith("--") and (not before.startswith("--") or "=" in before):
            raise WorkerError("this is no option of Beam", value=word, remedy="Write --NAME=VALUE")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            options = PipelineOptions(given)
            known = options.get_all_options(drop_default=True)
            found = options.get_all_options(drop_default=True, retain_unknown_options=True)
    except SystemExit:
        value = complaint.getvalue().strip().rpartition("error: ")[2]
        raise WorkerError("an option of Beam is wrong", value=value, remedy="See docs/dataflow.md") from None
    if unknown := sorted(set(found) - set(known)):
        remedy = "Check its spelling; see `python -m apache_beam.examples.wordcount --help`"
        raise WorkerError("Beam has no such option", value=f"--{unknown[0]}", remedy=remedy)
    for name in known:
        if name in _OURS:
            raise WorkerError("faceloom sets this option of Beam", value=f"--{name}", remedy=f"Use {_OURS[name]}")
        if name in _NEVER:
            raise WorkerError("a build cannot use this option of Beam", value=f"--{name}", remedy=_NEVER[name])
    if "job_name" in known and not _JOB_NAME.fullmatch(known["job_name"]):
        remedy = "Use lower-case letters, digits and hyphens, 63 at most, beginning with a letter"
        raise WorkerError("a job cannot have this name", value=known["job_name"], remedy=remedy)
    for name in ("temp_location", "staging_location"):
        if name in known and not _FOLDER.fullmatch(known[name]):
            what, remedy = "Dataflow keeps the files of jobs in a folder of a bucket", "Give gs://bucket/folder"
            raise WorkerError(what, where=f"--{name}", value=known[name], remedy=remedy)
    return known


def job_name(dataflow: DataflowBuild, stage: str) -> str:
    """Name of the job of a stage. The service refuses a second active job of a name, so no stage runs twice at once.

    >>> job_name(DataflowBuild("p", "r", "i", build="0123456789ab", recipe="masked_pairs"), "analyse")
    'faceloom-masked-pairs-0123456789ab-analyse'
    """
    name = re.sub(r"[^a-z0-9]+", "-", dataflow.recipe.lower()).strip("-")[:24].strip("-")
    return "-".join(part for part in ("faceloom", name, dataflow.build, stage) if part)


def job_labels(dataflow: DataflowBuild, stage: str) -> dict[str, str]:
    """Labels of a job, which bills and logs can be filtered by."""
    release = re.sub(r"[^a-z0-9_-]", "-", version("faceloom").lower())
    return {"faceloom-build": dataflow.build, "faceloom-stage": stage, "faceloom-version": release}


def job_hints(dataflow: DataflowBuild, given: dict[str, Any]) -> dict[str, str]:
    """Resource hints of a job, by which Dataflow chooses machines. Empty if the user chose, or with FlexRS.

    Args:
        given: options of Beam from `beam_options`.
    """
    if any(given.get(name) for name in ("machine_type", "resource_hints", "flexrs_goal")):
        return {}
    gigabytes = min(_MEMORY_LIMIT_GB, -(-(CORES * dataflow.memory + _MACHINE_BYTES) // 10**9))
    return {"min_ram": f"{gigabytes}GB", "cpu_count": str(CORES)}


def job_options(dataflow: DataflowBuild, stage: str) -> list[str]:
    """All options of a job for Beam, the user's among them."""
    given = beam_options(dataflow.options)
    hints, labels = job_hints(dataflow, given), job_labels(dataflow, stage)
    words = {"project": dataflow.project, "region": dataflow.region, "sdk_container_image": dataflow.image}
    words |= {"sdk_location": "container", "number_of_worker_harness_threads": "1"}
    words |= {} if "job_name" in given else {"job_name": job_name(dataflow, stage)}
    # Beam makes no job without a folder; a dry run without one writes nothing there.
    words |= {} if "temp_location" in given else {"temp_location": temp_folder(dataflow, given) or f"gs://none/{JOBS}"}
    words |= {"dry_run": "true"} if dataflow.dry_run else {}
    # Beam would upload the list of all packages of this machine.
    words |= {"experiments": "disable_logging_submission_environment"}
    repeated = [("resource_hints", hint) for hint in hints.items()] + [("labels", label) for label in labels.items()]
    return [
        *(f"--{name}={value}" for name, value in words.items()),
        *(f"--{name}={key}={value}" for name, (key, value) in repeated),
        "--no_save_main_session",  # Beam would upload a pickle of this process
        *dataflow.options,
    ]


def doubts(dataflow: DataflowBuild) -> list[str]:
    """What looks wrong about a job, and only Google's services could tell."""
    found = []
    if not _KNOWN_REGION.fullmatch(dataflow.region):
        found.append(f"no known region has a name such as {dataflow.region}; check --region, such as europe-west4")
    own = _RELEASE.match(version("faceloom"))
    tag = _RELEASE.match(dataflow.image.partition("@")[0].rpartition("/")[2].partition(":")[2])
    if own and tag and own[1] != tag[1]:
        what = f"the tag of the image names version {tag[1]}, and this is faceloom {own[1]}"
        found.append(f"{what}; build the image from the same release, or check --image")
    return found


def temp_folder(dataflow: DataflowBuild, given: dict[str, Any]) -> str:
    """Where the files of jobs lie: in the output, if the user names no place. The end of the build deletes them there.

    Args:
        given: options of Beam from `beam_options`.

    Returns:
        An address; empty if the user names no place and the output is in no bucket of Google Cloud Storage.
    """
    folder = str(given.get("temp_location") or f"{dataflow.folder.rstrip('/')}/{JOBS}")
    return folder if _FOLDER.fullmatch(folder) else ""


def _require_packages() -> None:
    try:
        from apache_beam.runners.dataflow.internal import apiclient  # noqa: F401
    except ImportError as error:
        remedy = "Run: pip install 'faceloom[dataflow]'"
        raise WorkerError("Dataflow needs Beam's packages for Google Cloud", value=error, remedy=remedy) from None


def _require_credentials() -> None:
    """Beam would look for them much longer, and then go on without."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        google.auth.default()
    except GoogleAuthError as error:
        raise WorkerError("no credentials for Google Cloud", value=error, remedy=NO_CREDENTIALS) from None


def _check_values(dataflow: Dataflow) -> None:
    values = (
        ("project", dataflow.project, _PROJECT, "the id of your project, such as my-project-123"),
        ("region", dataflow.region, _REGION, "a region of Google Cloud, such as europe-west4"),
        (
            "image",
            dataflow.image,
            _IMAGE,
            "REGISTRY/PROJECT/REPOSITORY/NAME:TAG in lower case, such as "
            "europe-west4-docker.pkg.dev/my-project/faces/faceloom:0.2.0",
        ),
    )
    if missing := [(f"--{name}", such) for name, value, _, such in values if not value]:
        remedy = "; ".join(f"{name} is {such}" for name, such in missing)
        raise WorkerError(f"Dataflow needs {', '.join(name for name, _ in missing)}", remedy=remedy)
    for name, value, pattern, such in values:
        if not pattern.fullmatch(value):
            raise WorkerError(f"this is no {name}", where=f"--{name}", value=repr(value), remedy=f"Give {such}")
    if not _TAGGED.search(dataflow.image) or dataflow.image.endswith(":latest"):
        remedy = "Add the tag of a version or a digest, so that every worker runs the same code: IMAGE:0.2.0"
        raise WorkerError("the image has no fixed tag", where="--image", value=dataflow.image, remedy=remedy)
