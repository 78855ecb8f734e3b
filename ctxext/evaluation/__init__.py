"""What a model can still do at each length: definitions of every number that `results.json` holds."""
