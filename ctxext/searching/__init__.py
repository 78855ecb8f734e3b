"""The search for LongRoPE's factors: a seeded evolution, and what it leaves behind."""
