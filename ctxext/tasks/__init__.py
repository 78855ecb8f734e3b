"""Generators of synthetic samples: what is planted, where, and what is asked."""
