"""Releases: published, verified, handed over and withdrawn."""
