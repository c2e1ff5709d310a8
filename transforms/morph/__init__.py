"""Morphs: two faces warped to a shape between theirs and mixed."""
