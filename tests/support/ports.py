"""Ports of this machine, for servers that begin a while after their port is chosen."""

import random
import socket

# The system gives ports from 32768 on to whoever asks for any: between two looks at one of those,
# another connection may have it.
OURS = range(20_000, 32_000)


def free_port() -> int:
    """One that nobody has, and nobody gets by chance."""
    for port in random.SystemRandom().sample(OURS, 100):  # processes of tests are seeded alike
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("Of 100 ports none is free.")
