"""What kill -9 does to a federation of real processes on this machine."""
