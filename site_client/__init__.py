"""The site client: a daemon beside one microscope."""
