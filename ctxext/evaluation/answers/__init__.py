"""How what is asked is scored: by rank, token by token, or by what is written."""
