"""The site's end."""

from site_client.federation.client_app import app

__all__ = ["app"]
