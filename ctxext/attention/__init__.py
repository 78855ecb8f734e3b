"""How heads gather values: one small class for each attention mechanism of the field."""
