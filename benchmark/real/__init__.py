"""The suite of real micrographs: cases whose scored images no training saw, and how methods do on them."""
