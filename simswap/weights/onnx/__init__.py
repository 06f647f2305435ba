"""Networks in ONNX files, rebuilt in torch."""
