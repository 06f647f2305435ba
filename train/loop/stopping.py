"""SIGTERM and SIGINT end a run at the next step, in all its processes, with a checkpoint."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import torch
from accelerate import Accelerator

STOPPED = 75  # exit code of a run that was asked to stop: EX_TEMPFAIL, "try again later"
# Steps between questions to the other processes: on GPUs each one waits for the work at hand. On
# CPUs steps are slow, and who sent SIGTERM will not wait for many.
ASK_EVERY = {"cpu": 1}
ONE_PRESS = 2.0  # seconds within which SIGINT is the same Ctrl-C, passed on by a launcher
PR_SET_PDEATHSIG = 1  # of Linux' prctl


class StopRequest:
    """Whether somebody wants the run to end: a preempted node, or a person pressing Ctrl-C."""

    def __init__(self) -> None:
        self._asked_at: float | None = None  # time.monotonic()
        self._has_begun = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)
        _hear_of_accelerates_end()

    def begin(self) -> None:
        """From now on there is something to save, so a signal ends the process only in time."""
        self._has_begun = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._has_begun:
            sys.exit(STOPPED)
        now = time.monotonic()
        self._asked_at = self._asked_at or now
        if number == signal.SIGINT and now - self._asked_at > ONE_PRESS:
            raise KeyboardInterrupt  # a second Ctrl-C ends it at once

    def is_made(self, accelerator: Accelerator, step: int) -> bool:
        """The same answer in every process, after `step`."""
        is_asked = self._asked_at is not None
        if accelerator.num_processes == 1:
            return is_asked
        if step % ASK_EVERY.get(accelerator.device.type, 10):
            return False
        flag = torch.tensor([float(is_asked)], device=accelerator.device)
        return bool(accelerator.gather(flag).max() > 0)


def _hear_of_accelerates_end() -> None:
    """SIGTERM kills `accelerate launch` and is not passed on: have Linux pass it on."""
    try:
        parent = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:  # another system
        return
    if b"accelerate" in parent:  # never a shell: a run may outlive the one it was started from
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
