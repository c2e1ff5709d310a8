"""The face parser of a recipe: its file, checked and loaded once per process."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from faceloom.pipelines.analyse.model_files import file_digest, named_file
from faceloom.schemas.errors import ModelFileError
from faceloom.schemas.parser import Parser
from faceloom.schemas.recipe import Recipe
from faceloom.schemas.regular_files import UnfitFileError, read_regular_file
from faceloom.transforms.parser import FaceParser
from faceloom.transforms.parser import load_parser as load_bytes

MOST_BYTES = 2**29
"""Length of an ONNX file; BiSeNet with ResNet-18 has 53 MB."""
WHERE = "$.faces.parser"


def parser_file(parser: Parser) -> Path:
    """The file of a face parser; one that is named by URL is copied to this machine.

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    return named_file(parser.onnx, "the face parser", where=f"{WHERE}.onnx", most_bytes=MOST_BYTES)


def parser_digest(recipe: Recipe) -> str:
    """sha256 of the face parser that samples of a recipe depend on; empty without one.

    Raises:
        ModelFileError: there is no such file.
        StorageError: its object store cannot be used.
    """
    parser = recipe.used_parser
    return file_digest(parser_file(parser)) if parser else ""


def load_parser(recipe: Recipe) -> FaceParser | None:
    """Load the face parser of a recipe, once per process, and try it on a grey picture; None without one.

    Raises:
        ModelFileError: it is missing, or cannot be used.
        StorageError: its object store cannot be used.
    """
    if (parser := recipe.used_parser) is None:
        return None
    file = parser_file(parser)
    return _load(file, file_digest(file), parser)


@lru_cache(maxsize=2)
def _load(file: Path, sha256: str, parser: Parser) -> FaceParser:
    try:
        return load_bytes(read_regular_file(file, MOST_BYTES), parser)
    except (UnfitFileError, ValueError, OSError) as error:
        what = f"the face parser cannot be used: {error}"
        remedy = "Name an ONNX file that OpenCV runs, and the size, label order and output that it was made for"
        raise ModelFileError(what, where=WHERE, value=str(file), remedy=remedy) from None
