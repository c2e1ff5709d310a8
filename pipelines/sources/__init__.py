"""Source adapters: list and read photos, wherever they lie."""
