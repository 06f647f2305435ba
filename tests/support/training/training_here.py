"""Trainings in the test's own process: as real as in another, and seconds sooner."""

import signal
from pathlib import Path

from accelerate.state import AcceleratorState, GradientState

from train.train import run_from_shell


def train_here(config: Path, *flags: str) -> int:
    """The command's exit code; nothing of the run stays behind in this process."""
    _forget_accelerators()  # what other tests made
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return run_from_shell(["--config", str(config), "--num-threads", "0", *flags])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _forget_accelerators()


def _forget_accelerators() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
