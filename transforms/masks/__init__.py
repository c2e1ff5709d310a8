"""Masks painted on faces: landmark polygons, our own vector templates, and any RGBA picture with anchors."""
