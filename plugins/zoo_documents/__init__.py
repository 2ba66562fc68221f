"""Synthetic documents: a dataset that needs no data."""
