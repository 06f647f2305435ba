"""Waiting for what comes by itself."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    """Returns once it is so; fails if it is not after so many seconds, on a busy machine too."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
