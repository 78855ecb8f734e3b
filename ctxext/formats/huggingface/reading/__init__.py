"""A Hugging Face folder as a base: from its files to our words."""
