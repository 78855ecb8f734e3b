"""A GGUF file as a base: from its header and tensors to our words."""
