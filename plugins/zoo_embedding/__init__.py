"""Heads from the last level of a feature pyramid to an embedding."""
