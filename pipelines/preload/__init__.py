"""Modules that the server of worker processes imports ahead, so that each worker process starts at once."""
