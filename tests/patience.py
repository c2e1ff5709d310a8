"""Limits of time that hold on a busy machine too."""

from __future__ import annotations

import os


def on_busy_machine(seconds: float) -> float:
    """What takes some seconds at most on an idle machine, and longer the more processes wait for its processors."""
    return seconds * max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))
