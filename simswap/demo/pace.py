"""How often something may happen."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """So many times within so many seconds, wherever these begin."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._times: deque[float] = deque(maxlen=limit)
        self._seconds = seconds

    @property
    def is_full(self) -> bool:
        """Whether it has happened so often, so that once more would not fit."""
        times = self._times
        return len(times) == times.maxlen and time.monotonic() - times[0] < self._seconds

    def take(self) -> bool:
        """Whether once more fits; it is counted only then."""
        if self.is_full:
            return False
        self._times.append(time.monotonic())
        return True
