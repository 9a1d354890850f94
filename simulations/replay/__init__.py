"""A day at a microscope in fast motion: real processes, and what the daemon among them costs and loses."""
