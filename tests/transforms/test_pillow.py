"""Pillow's limit is lifted and restored; its formats are those that are installed, or an error."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from faceloom.transforms.pillow import LIMIT_LIFTED, readable_formats


@pytest.fixture
def fresh() -> Iterator[None]:
    readable_formats.cache_clear()
    yield
    readable_formats.cache_clear()


def test_the_common_formats_are_read_and_no_other_program_is_started(fresh: None) -> None:
    assert {"JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM"} <= set(readable_formats())
    assert not {"EPS", "PSD", "FITS"} & set(readable_formats())


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real = importlib.import_module

    def load(name: str) -> Any:
        if name == "PIL._webp":
            raise error
        return real(name)

    monkeypatch.setattr(importlib, "import_module", load)


def test_a_library_without_room_is_no_missing_format(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ImportError("_webp.so: failed to map segment from shared object"))
    with pytest.raises(ImportError):
        readable_formats()


def test_a_library_that_is_not_installed_is_none(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ModuleNotFoundError("No module named 'PIL._webp'"))
    assert "PNG" in readable_formats()


def test_the_limit_is_lifted_inside_and_restored_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with LIMIT_LIFTED:
        with LIMIT_LIFTED:
            assert Image.MAX_IMAGE_PIXELS is None
        assert Image.MAX_IMAGE_PIXELS is None
    assert Image.MAX_IMAGE_PIXELS == 7
