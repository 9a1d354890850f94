"""One training loop, for pre-training and fine-tuning alike, and the pairs that feed it."""
