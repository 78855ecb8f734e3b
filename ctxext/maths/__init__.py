"""Pure functions of numbers and tensors."""
