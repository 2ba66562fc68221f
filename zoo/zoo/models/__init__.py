"""Trained models, opened from a checkpoint, an artifact or an ONNX file, and what they embed."""
