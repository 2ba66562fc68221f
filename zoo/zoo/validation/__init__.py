"""What a model is judged by: the validation set, its embeddings, and the metrics."""
