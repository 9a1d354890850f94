"""Digests, keys, tokens and certificates: the only door to key handling."""
