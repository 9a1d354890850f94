"""Signed releases: a TUF repository, and the manifests that it carries."""
