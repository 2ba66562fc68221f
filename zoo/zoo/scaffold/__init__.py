"""A plugin or a recipe to begin with: files that lint, type-check and pass their tests as they are written."""
