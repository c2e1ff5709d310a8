"""Versions of our operations, part of a build's identity. Raised when the same input gives other bytes."""

ANALYSER = "3"
"""Of analysis: face boxes, landmarks, quality figures, rejects."""

RENDERER = "9"
"""Of rendering: masks, alignment, encoding, the record of a sample, and the defaults of a recipe's keys."""
