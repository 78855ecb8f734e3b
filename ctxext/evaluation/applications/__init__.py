"""What a model is used for: answers, translations, summaries, labels and texts, scored as their fields do."""
