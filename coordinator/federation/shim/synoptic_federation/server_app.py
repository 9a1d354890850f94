"""The coordinator's end."""

from coordinator.federation.server_app import app

__all__ = ["app"]
