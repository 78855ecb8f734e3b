"""One run on several processes: which of them this is, what each owns, and how they come together again."""
