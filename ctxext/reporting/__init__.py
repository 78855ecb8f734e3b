"""What a user sees of a run: console, metrics, TensorBoard, tables, plots and the report."""
