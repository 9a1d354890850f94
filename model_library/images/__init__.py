"""Images in and out: the only door to tifffile and its kin."""
