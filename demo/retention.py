"""Nothing stays: what visitors send, and what is made of it, is deleted in time and at the end.

All of it lies in one folder of this run. Gradio deletes what its own components have stored; this
also takes what lies beside that, and what an earlier run left that had no time to clean up.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows: there leftovers are told by their age
    fcntl = None

PREFIX = "simswap-session-"
LOCK = ".lock"
MAX_AGE = 3600  # seconds that a file is kept
INTERVAL = 600  # seconds between two looks
DAY = 86_400  # seconds


def private_folder() -> Path:
    """A new folder for this run's files, in GRADIO_TEMP_DIR or the system's place for such.

    Only this user may read it. It is swept from time to time, and removed when the process ends,
    also by SIGTERM; call it once, from the main thread.
    """
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).absolute()
    base.mkdir(parents=True, exist_ok=True)
    remove_leftovers(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = (folder / LOCK).open("w")  # held by the system until the process ends, however it ends
    if fcntl is not None:
        fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(_remove, folder, lock, os.getpid())
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_sweep_now_and_then, args=[folder], daemon=True).start()
    return folder


def sweep(folder: Path, max_age: float = MAX_AGE) -> None:
    """Delete the files in a folder, at any depth, that nobody has written to for `max_age` seconds.

    Folders that are left empty go too, if they are as old.
    """
    oldest = time.time() - max_age
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            _remove_if_old(Path(place, name), oldest)
        if Path(place) != folder:
            _remove_if_old(Path(place), oldest)


def remove_leftovers(base: Path) -> None:
    """Remove the folders of runs that have ended without doing so, by a power cut for example."""
    for folder in base.glob(f"{PREFIX}*"):
        if not _is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path, lock: TextIO, process: int) -> None:
    if os.getpid() == process:  # a process that was forked off has no say
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def _is_in_use(folder: Path) -> bool:
    try:
        if fcntl is None:
            return folder.stat().st_mtime > time.time() - DAY
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except FileNotFoundError:  # begun this moment, or half removed
        return folder.exists() and folder.stat().st_mtime > time.time() - MAX_AGE
    except OSError:  # locked, or somebody else's
        return True


def _remove_if_old(path: Path, oldest: float) -> None:
    try:
        status = path.lstat()
        # Of a copy the one may be the original's, so both count.
        if path.name == LOCK or max(status.st_mtime, status.st_ctime) > oldest:
            return
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    except OSError:  # gone, or a folder that is not empty
        return


def _sweep_now_and_then(folder: Path) -> None:
    while True:
        time.sleep(INTERVAL)
        sweep(folder)


def _leave(number: int, frame: FrameType | None) -> None:
    """End as at the end of the program: what is registered with atexit is done."""
    sys.exit(128 + number)
