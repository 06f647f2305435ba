"""Trial runs of files, whose processes begin warm: cold ones spend most of their time importing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from simswap import trial_run
from tests.support.examples import ROOT
from tests.support.warm_python import WarmProcess, WarmServer, forked

# Nothing else, for the memory of these processes is watched.
_trials = WarmServer(["simswap.media.trial", "simswap.verify.trial"])
start_cold_trial = trial_run.start
STARTERS = ("simswap.trial_run", "simswap.media.heif_files")  # modules that know it by name


def start_trial(
    module: str, arguments: list[str], content: bytes = b"", output: BinaryIO | None = None
) -> WarmProcess:
    """In place of simswap.trial_run.start."""
    environment = {name: os.environ[name] for name in trial_run._ENVIRONMENT if name in os.environ}
    told = Path(f"/proc/{os.getpid()}/fd/{output.fileno()}" if output else os.devnull)
    program = ["-m", module, *arguments], environment, ROOT, told, Path(os.devnull), content
    return WarmProcess(forked(_trials, *program), told, None)


def begin_warm(patched: pytest.MonkeyPatch) -> None:
    """Have this process's trial runs begin so."""
    for module in STARTERS:
        patched.setattr(f"{module}.start", start_trial)
