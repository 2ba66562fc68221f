"""Figures of embeddings in numpy alone: verification of pairs and identification against references."""
