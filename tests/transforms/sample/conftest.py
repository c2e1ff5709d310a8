"""The synthetic photos of the pipeline's tests."""

from __future__ import annotations

from tests.pipelines.conftest import scene, synthetic

__all__ = ["scene", "synthetic"]
