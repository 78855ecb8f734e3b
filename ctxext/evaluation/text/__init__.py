"""Measures of text: the same tokens at every length, by position, in windows, by key tokens, shifted in position."""
