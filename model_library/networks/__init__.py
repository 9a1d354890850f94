"""Architectures, each built from a typed, frozen configuration."""
