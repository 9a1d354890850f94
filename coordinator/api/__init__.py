"""The HTTP API, one module per resource; routes translate, nothing more."""
