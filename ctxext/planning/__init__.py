"""What a run would take on machines that aren't there: bytes held and sent, operations and time, by formulas alone."""
