"""Where a token stands: one small class for each position encoding of the field."""
