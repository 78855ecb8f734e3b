"""What was typed, as typed objects: the schema, strict composition, legality, and mistakes said in a sentence."""
