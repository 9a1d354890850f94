"""What acquisitions do to images: typed recipes, an instrument's noise, judging without truth."""
