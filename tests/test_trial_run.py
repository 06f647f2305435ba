"""The child process in which strangers' files are tried."""

import subprocess
import sys
from pathlib import Path

import pytest

from simswap import trial_run
from simswap.errors import CrowdedError


def test_a_trial_run_gets_no_keys(cold_trials, tmp_path, monkeypatch):
    monkeypatch.setenv("SIMSWAP_SIGN_KEY", "secret")
    child = trial_run.start("simswap.verify.trial", [str(tmp_path / "absent.mp4"), "1"])
    environment = Path(f"/proc/{child.pid}/environ")
    told = environment.read_bytes() if environment.exists() else b""
    child.wait()
    assert b"secret" not in told


def test_a_child_for_which_others_leave_no_room_is_not_called_too_large(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with pytest.raises(CrowdedError, match="Try again in a minute"):
        trial_run.watched(child, 10**12, 60.0, lambda held: False)
    assert child.poll() is not None
