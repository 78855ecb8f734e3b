"""A network as a Hugging Face folder: from our words to its files."""
