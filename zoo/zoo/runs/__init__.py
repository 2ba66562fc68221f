"""The run folder, in which training, evaluation and export meet."""
