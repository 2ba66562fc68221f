"""Heads from the last map of a feature pyramid to an embedding."""
