"""Recipes that ship with faceloom, as YAML files."""
