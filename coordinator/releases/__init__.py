"""The TUF repository that carries signed releases, and the keys of its roles."""
