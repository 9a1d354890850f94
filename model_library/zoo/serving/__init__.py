"""Networks made ready to serve: exported, calibrated on the machine, opened without torch."""
