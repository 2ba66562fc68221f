"""Wrappers that turn a trained model into the graph to export."""
