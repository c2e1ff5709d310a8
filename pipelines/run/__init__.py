"""Run tasks on worker processes, and report their progress."""
