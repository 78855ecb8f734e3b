"""What goes together and what doesn't: rules refuse, remarks say a line; a file for each kind of reason."""
