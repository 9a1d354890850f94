"""The small page and the figures that a site shows on its own computer, and only there."""
