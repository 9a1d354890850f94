"""The server that selects, tunes, benchmarks, signs and releases networks for a fleet of instruments."""
