"""Evaluate trained networks against baselines."""
