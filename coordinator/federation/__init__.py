"""Federations of instruments: cohorts, rounds, and the Flower engine that carries them."""
