"""The child process in which strangers' files are tried."""

from pathlib import Path

from simswap import trial_run


def test_a_trial_run_gets_no_keys(cold_trials, tmp_path, monkeypatch):
    monkeypatch.setenv("SIMSWAP_SIGN_KEY", "secret")
    child = trial_run.start("simswap.video.source.trial", [str(tmp_path / "absent.mp4"), "{}"])
    environment = Path(f"/proc/{child.pid}/environ")
    told = environment.read_bytes() if environment.exists() else b""
    child.wait()
    assert b"secret" not in told
