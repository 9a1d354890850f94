"""The coordinator: takes images in, chooses, tunes, benchmarks, releases."""
