"""What reading costs: arithmetic, time and memory."""
