"""Hugging Face folders: configuration, weights and tokenizer, as transformers 4 and 5 read and write them."""
