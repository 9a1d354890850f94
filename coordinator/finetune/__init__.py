"""Fine-tuning a network to an instrument's own images, without truth."""
