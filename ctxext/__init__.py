"""Extend the context of language models, and measure what that did."""

__version__ = "0.1.0"
