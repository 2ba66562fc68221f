"""Run folder to artifact folder: one verified ONNX graph, and all that is published with it."""
