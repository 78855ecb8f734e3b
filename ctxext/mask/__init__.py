"""Who may look at whom: one small class for each mask of the field."""
