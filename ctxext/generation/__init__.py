"""How a text goes on: sampled tokens, their characters as they come, and chats as the tokens of a template."""
