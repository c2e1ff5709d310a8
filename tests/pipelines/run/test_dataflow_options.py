"""What a job is started with is checked before any work, without the network."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from faceloom.models.checkpoint import BEST
from faceloom.pipelines.run.dataflow_options import (
    NETWORK_BYTES,
    beam_options,
    check_dataflow,
    doubts,
    files_of,
    job_hints,
    job_labels,
    job_name,
    job_options,
    memory_of,
)
from faceloom.pipelines.run.runners import DataflowBuild
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import RecipeError, WorkerError
from faceloom.schemas.recipe import Recipe, parse_recipe
from tests.faults.bench import put
from tests.object_stores import s3_server

pytest.importorskip("google.cloud.dataflow_v1beta3", reason="needs the extra `dataflow`")
IMAGE = "europe-docker.pkg.dev/some-project/faceloom/worker:0.2.0"
GIVEN = DataflowBuild("some-project", "europe-west4", IMAGE, ("--no_auth",), folder="gs://bucket/out")


def recipe_of(**changes: Any) -> Recipe:
    plain = {
        "name": "two_masks",
        "sources": [{"path": "gs://bucket/photos"}],
        "masks": [{"kind": "polygon", "shape": "A"}],
    }
    return parse_recipe({**plain, **changes})


def changed(**values: Any) -> DataflowBuild:
    from dataclasses import replace

    return replace(GIVEN, **values)


def test_a_runner_that_is_checked_knows_its_build() -> None:
    one = check_dataflow(GIVEN, recipe_of())
    assert one.recipe == "two_masks" and re.fullmatch("[0-9a-f]{12}", one.build) and one.memory > 10**9
    assert check_dataflow(GIVEN, recipe_of()) == one, "names come from the recipe and the output"
    assert check_dataflow(changed(folder="gs://bucket/other"), recipe_of()).build != one.build
    assert check_dataflow(GIVEN, recipe_of(seed=3)).build != one.build


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"project": ""}, r"^Dataflow needs --project\. --project is the id of your project, such as [a-z0-9-]+$"),
        (
            {"project": "", "region": "", "image": ""},
            r"^Dataflow needs --project, --region, --image\..*; --region is a region.*; --image is REGISTRY",
        ),
        ({"project": "My Project"}, "--project"),
        ({"region": "EUROPE"}, r"^--region: this is no region .got 'EUROPE'.*such as europe-west4"),
        ({"region": "europe-west4-a"}, "--region"),
        ({"image": "A"}, r"^--image: .*such as europe-west4-docker.pkg.dev/my-project"),
        ({"image": "a b"}, "--image"),
        ({"image": "europe-docker.pkg.dev/p/worker"}, "the image has no fixed tag"),
        ({"image": "localhost:5000/worker"}, "the image has no fixed tag"),
        ({"image": "europe-docker.pkg.dev/p/worker:latest"}, "the image has no fixed tag"),
        ({"folder": "gs://b/out"}, "needs a folder in Google Cloud Storage"),
        ({"folder": "s3://b/out"}, r"needs a folder in Google Cloud Storage.*--temp_location=gs://bucket/folder"),
    ],
)
def test_what_is_missing_or_wrong_is_an_error_with_a_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkerError, match=message):
        check_dataflow(changed(**values), recipe_of())


@pytest.mark.parametrize("image", ["gcr.io/p/worker@sha256:" + "0" * 64, "localhost:5000/worker:1.2", IMAGE])
def test_images_with_a_tag_or_a_digest_are_accepted(image: str) -> None:
    assert check_dataflow(changed(image=image), recipe_of()).image == image


@pytest.mark.parametrize("where", ["source", "output"])
def test_a_folder_of_this_machine_is_refused_and_noted_by_a_dry_run(where: str) -> None:
    source, folder = ("/photos", "gs://bucket/out") if where == "source" else ("gs://bucket/photos", "/out")
    recipe = recipe_of(sources=[{"path": source}])
    with pytest.raises(RecipeError, match=r"cannot reach a folder of this machine .got /.*Copy it to a bucket"):
        check_dataflow(changed(folder=folder), recipe)
    refused = check_dataflow(changed(folder=folder, dry_run=True), recipe).refused
    place = source if where == "source" else folder
    assert refused[0].startswith(f"Dataflow's workers cannot reach a folder of this machine (got {place})")
    assert len(refused) == (1 if where == "source" else 2), "without a bucket there is no place for the job's files"
    if where == "output":
        assert "needs a folder in Google Cloud Storage" in refused[1]


def test_missing_credentials_are_found_before_any_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(WorkerError, match=r"no credentials for Google Cloud.*gcloud auth"):
        check_dataflow(changed(options=()), recipe_of())
    assert check_dataflow(changed(options=(), dry_run=True), recipe_of())


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "apache_beam.runners.dataflow.internal", None)
    with pytest.raises(WorkerError, match=r"pip install 'faceloom\[dataflow\]'"):
        check_dataflow(GIVEN, recipe_of())


def test_options_of_beam_are_those_that_it_knows() -> None:
    given = beam_options(["--max_num_workers=5", "--machine_type", "n2-standard-4", "--no_use_public_ips"])
    assert given == {"max_num_workers": 5, "machine_type": "n2-standard-4", "use_public_ips": False}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max_num_wrokers=5"], r"Beam has no such option .got --max_num_wrokers"),
        (["--max_num_workers=many"], r"an option of Beam is wrong .got argument --max_num_workers: invalid int"),
        (["--max_num_workers"], "expected one argument"),
        (["max_num_workers=5"], r"this is no option of Beam .got max_num_workers=5.*--NAME=VALUE"),
        (["--max_num_workers=5", "6"], r"this is no option of Beam .got 6"),
        (["--project=p"], r"faceloom sets this option of Beam .got --project.*Use --project"),
        (["--sdk_container_image=i"], "Use --image"),
        (["--sdk_harness_container_image_overrides=.*,other"], "Use --image"),
        (["--prebuild_sdk_container_engine=cloud_build"], "Use --image"),
        (["--dry_run=true"], "Use --dry-run"),
        (["--requirements_file=r.txt"], "Put packages in the image"),
        (["--save_main_session"], "The image holds all code"),
        (["--number_of_worker_harness_threads=4"], "cannot be shared by threads"),
        (["--streaming"], "A build is a batch job"),
        (["--job_name=My_Job"], "a job cannot have this name"),
        (["--temp_location=/tmp"], r"^--temp_location: .*gs://bucket/folder"),
        (["--staging_location=gs://bucket"], r"^--staging_location: .*gs://bucket/folder"),
        (["--temp_location=gs://b/temp"], r"^--temp_location: .*gs://bucket/folder"),
    ],
)
def test_a_wrong_option_of_beam_is_an_error(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorkerError, match=message):
        beam_options(words)
    assert capsys.readouterr().err == "", "argparse prints nothing"


@pytest.mark.parametrize("recipe", ["masked-pairs", "Ünïcode_Näme 2", "-", "x" * 80])
def test_names_and_labels_are_those_that_dataflow_takes(recipe: str) -> None:
    dataflow = changed(build="0123456789ab", recipe=recipe)
    for stage in ("analyse", "textures", "compare", "render"):
        assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])?", job_name(dataflow, stage))
        assert "0123456789ab" in job_name(dataflow, stage) and job_name(dataflow, stage).endswith(stage)
        for key, value in job_labels(dataflow, stage).items():
            assert re.fullmatch("[a-z][a-z0-9_-]{0,62}", key) and re.fullmatch("[a-z0-9_-]{0,63}", value)


def test_memory_grows_with_the_largest_photo_and_the_networks(tmp_path: Path) -> None:
    plain = memory_of(recipe_of())
    assert memory_of(recipe_of(faces={"max_pixels": 200_000_000})) == plain + 6 * 100_000_000
    (tmp_path / BEST).write_bytes(b"0" * 1000)
    mask = {"kind": "autoencoder", "checkpoint": str(tmp_path)}
    assert memory_of(recipe_of(masks=[mask])) == plain + NETWORK_BYTES + 1000
    assert files_of(recipe_of(masks=[mask], faces={"landmark_model": "/m.dat"})) == sorted([str(tmp_path), "/m.dat"])
    assert files_of(recipe_of(faces={"detector": {"onnx": "/d.onnx"}})) == ["/d.onnx"]
    fabrics = [
        {"kind": "template", "template": "cloth", "pattern": file} for file in ("/t.png", "dots", "gs://b/t.png")
    ]
    assert files_of(recipe_of(masks=fabrics)) == ["/t.png"]


def test_a_face_parser_takes_memory_and_a_place_where_samples_depend_on_it(tmp_path: Path) -> None:
    (tmp_path / "p.onnx").write_bytes(b"0" * 700)
    faces = {"parser": {"onnx": str(tmp_path / "p.onnx")}}
    unused, used = recipe_of(faces=faces), recipe_of(faces={**faces, "occluded": "reject"})
    assert memory_of(used) == memory_of(unused) + NETWORK_BYTES + 700
    assert (files_of(unused), files_of(used)) == ([], [faces["parser"]["onnx"]])


def test_networks_that_are_named_by_url_take_memory_and_are_not_in_the_image(tmp_path: Path) -> None:
    mask, features = {"kind": "autoencoder"}, {"model": str(tmp_path / "network.pt")}
    (tmp_path / "network.pt").write_bytes(b"0" * 500)
    plain = memory_of(recipe_of())
    assert memory_of(recipe_of(output={"features": features})) == plain + NETWORK_BYTES + 500
    with s3_server() as url:
        put(Storage(url), f"run/{BEST}", b"0" * 1000)
        recipe = recipe_of(masks=[{**mask, "checkpoint": f"{url}/run/"}], output={"features": features})
        assert memory_of(recipe) == plain + NETWORK_BYTES + 1500
        assert files_of(recipe) == [features["model"]]
        gone = recipe_of(masks=[{**mask, "checkpoint": f"{url}/gone"}])
        assert memory_of(gone) == plain + NETWORK_BYTES, "the build reports it"


def test_places_beside_the_photos_must_be_reached_too() -> None:
    labelled = {"kind": "label_maps", "path": "gs://bucket/photos"}
    assert check_dataflow(GIVEN, recipe_of(sources=[{**labelled, "labels": "gs://bucket/maps"}]))
    with pytest.raises(RecipeError, match=r"cannot reach a folder of this machine .got /maps"):
        check_dataflow(GIVEN, recipe_of(sources=[{**labelled, "labels": "/maps"}]))
    table = {"kind": "table", "path": "/photos.csv"}
    assert check_dataflow(GIVEN, recipe_of(sources=[{**table, "root": "gs://bucket/photos"}]))
    with pytest.raises(RecipeError, match=r"got /photos\.csv"):
        check_dataflow(GIVEN, recipe_of(sources=[table]))


def test_hints_are_strings_for_all_processes_of_a_machine() -> None:
    dataflow = changed(memory=3 * 10**9)
    assert job_hints(dataflow, {}) == {"min_ram": "8GB", "cpu_count": "2"}
    for chosen in ("machine_type", "resource_hints", "flexrs_goal"):
        assert job_hints(dataflow, {chosen: "x"}) == {}, "the user chooses the machine"


def test_the_options_of_a_job_are_ours_and_then_those_of_the_user() -> None:
    dataflow = check_dataflow(changed(options=("--no_auth", "--labels=team=faces", "--disk_size_gb=50")), recipe_of())
    words = job_options(dataflow, "render")
    assert words[-3:] == ["--no_auth", "--labels=team=faces", "--disk_size_gb=50"]
    found = SimpleNamespace(**dict(word[2:].split("=", 1) for word in words if "=" in word and "labels" not in word))
    assert found.project == "some-project" and found.sdk_container_image == IMAGE and found.sdk_location == "container"
    assert found.temp_location == "gs://bucket/out/work/dataflow" and found.number_of_worker_harness_threads == "1"
    assert found.experiments == "disable_logging_submission_environment"
    own = job_options(changed(options=("--job_name=mine", "--temp_location=gs://cup/t"), build="01"), "render")
    assert [word for word in own if "job_name" in word or "temp_" in word] == [
        "--job_name=mine",
        "--temp_location=gs://cup/t",
    ]


@pytest.mark.parametrize("region", ["europe-west4", "us-east1", "northamerica-northeast2", "me-central1", "us-south1"])
@pytest.mark.parametrize(
    "tag", [f":{version('faceloom')}", f":v{version('faceloom')}-2", ":3f2a1c", "@sha256:" + 64 * "0"]
)
def test_nothing_is_wrong_with_usual_regions_and_tags(region: str, tag: str) -> None:
    assert doubts(replace(GIVEN, region=region, image=f"europe-docker.pkg.dev:443/p/faces/faceloom{tag}")) == []


def test_odd_regions_and_images_of_other_versions_are_doubted() -> None:
    (region,) = doubts(replace(GIVEN, region="us-1"))
    assert "us-1" in region and "--region" in region
    (image,) = doubts(replace(GIVEN, image=f"europe-docker.pkg.dev/p/faces/faceloom:9.8.7@sha256:{64 * '0'}"))
    assert "9.8.7" in image and "--image" in image
