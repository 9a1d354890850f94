"""Start at boot and restart after a fault: what the operating system is told about a site's daemon."""
