"""Distillation: a second loss, from features of a teacher that are computed once and kept on disk."""
