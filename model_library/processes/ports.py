"""A port for a process that is about to be started."""

import socket


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens on; another program may take it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
