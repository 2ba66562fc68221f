"""Losses with a margin over a table of classes; ``zoo_margin.losses`` works in any training loop."""
