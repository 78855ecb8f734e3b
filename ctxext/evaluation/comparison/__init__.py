"""Runs against each other: only what their files say, and only differences of the same documents and samples."""
