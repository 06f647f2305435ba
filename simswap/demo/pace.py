"""How often something may happen."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """So many times within so many seconds, wherever these begin."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._times: deque[float] = deque(maxlen=limit)
        self._seconds = seconds

    def take(self) -> bool:
        """Whether once more fits; it is counted only then."""
        now, times = time.monotonic(), self._times
        if len(times) == times.maxlen and now - times[0] < self._seconds:
            return False
        times.append(now)
        return True
