"""Selection tried where the best network is known: planted instruments, a library of specialists."""
