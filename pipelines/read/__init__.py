"""Read finished builds in training jobs."""
