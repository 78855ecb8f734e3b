"""Files that other programs read: written and read in one place each, and compared with those programs."""
