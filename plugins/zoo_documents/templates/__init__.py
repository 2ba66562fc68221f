"""Kinds of documents, and how one is composed from seed, split and number."""
