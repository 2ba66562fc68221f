"""Recipes: their schema, how they are found and loaded, and how they are checked against what is installed."""
