"""SIGTERM and SIGINT end a run at the next step, in all its processes, with a checkpoint."""

from __future__ import annotations

import signal
from types import FrameType

import torch
from accelerate import Accelerator

# Steps between questions to the other processes: on GPUs each one waits for the work at hand. On
# CPUs steps are slow, and who sent SIGTERM will not wait for many.
ASK_EVERY = {"cpu": 1}


class StopRequest:
    """Whether somebody wants the run to end: a preempted node, or a person pressing Ctrl-C."""

    def __init__(self) -> None:
        self._is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second Ctrl-C ends it at once

    def is_made(self, accelerator: Accelerator, step: int) -> bool:
        """The same answer in every process, after `step`."""
        if accelerator.num_processes == 1:
            return self._is_asked
        if step % ASK_EVERY.get(accelerator.device.type, 10):
            return False
        flag = torch.tensor([float(self._is_asked)], device=accelerator.device)
        return bool(accelerator.gather(flag).max() > 0)
