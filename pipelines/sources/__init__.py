"""Source adapters: one small module per kind of photo collection."""
