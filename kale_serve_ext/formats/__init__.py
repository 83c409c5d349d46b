"""Ways in which frameworks save a model: one file each."""
