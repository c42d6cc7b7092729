"""TensorBoard's event files: framing, protobuf, tensors."""
