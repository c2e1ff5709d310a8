"""Albumentations, for recipes with `augment`."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from faceloom.transforms.augment import load_albumentations

# Albumentations imports torch where it is installed, which takes longer than all else and is not needed here.
_modules: dict[str, Any] = sys.modules
_without_torch = "torch" not in _modules
if _without_torch:
    _modules["torch"] = None
with contextlib.suppress(ImportError):  # a worker process that needs it reports what is missing
    load_albumentations()
if _without_torch:
    del _modules["torch"]
