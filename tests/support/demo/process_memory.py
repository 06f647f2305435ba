"""How much memory a process, or a whole tree of them, holds and held at its peak; Linux only."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil

SECONDS_BETWEEN = 0.05  # two looks at a tree


def memory_of(process: int | str, what: str = "VmRSS") -> float:
    """Megabytes that a process ("self": this one) holds (VmRSS) or held (VmHWM); 0 if gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    sizes = (int(line.split()[1]) for line in lines if line.startswith(what))
    return next(sizes, 0) * 1024 / 1e6


def forget_peak(process: int | str) -> None:
    """Let VmHWM of a process begin anew."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


class TreeWatch:
    """The peak memory of a process and all that it starts, while the block runs.

    peak: megabytes; of the process itself exact, of what it starts as seen twenty times a second.
    """

    def __init__(self, process: int) -> None:
        self._root, self._ended = psutil.Process(process), threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = 0.0

    def now(self) -> float:
        """Megabytes that the tree holds."""
        return sum(memory_of(process.pid) for process in self._tree())

    def cpu_seconds(self) -> float:
        """Processor time that the tree has taken, with that of its ended parts."""
        try:
            return sum(sum(process.cpu_times()[:4]) for process in self._tree())
        except psutil.NoSuchProcess:
            return 0.0

    def __enter__(self) -> TreeWatch:
        forget_peak(self._root.pid)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()
        self.peak = max(self.peak, memory_of(self._root.pid, "VmHWM"))

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _look(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN):
            self.peak = max(self.peak, self.now())
