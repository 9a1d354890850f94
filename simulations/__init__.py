"""Simulated microscopes, and whole fleets of them."""
