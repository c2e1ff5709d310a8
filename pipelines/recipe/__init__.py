"""Recipes: load them from files, list those that ship with faceloom, and document their keys."""
