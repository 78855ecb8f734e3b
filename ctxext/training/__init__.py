"""How weights are changed: the loop, the optimiser, checkpoints and signals."""
