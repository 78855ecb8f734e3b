"""A network as a GGUF file: from our words to its header and tensors."""
