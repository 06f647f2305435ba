"""Nothing stays: what visitors send, and what is made of it, is deleted in time and at the end.

All of it lies in one folder of this run: uploads and results in one part, which Gradio serves, and
the temporary files of every library in another, which it does not. Gradio's own clean-up is off: it
keeps the paths of files that somebody else has deleted. This also takes what an earlier run left
that had no time to clean up.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType

try:
    import fcntl
except ImportError:  # Windows: there leftovers are told by their age
    fcntl = None

PREFIX = "simswap-session-"
NAME = re.compile(re.escape(PREFIX) + r"[a-z0-9_]{8}")  # as tempfile fills it up
LOCK = ".lock"
LOCK_TEXT = b"A running SimSwap demo keeps its files here and deletes them at its end.\n"
# Nobody's FIFO keeps the start waiting, and no link leads it elsewhere; Windows has neither.
NO_WAIT, NO_LINK = getattr(os, "O_NONBLOCK", 0), getattr(os, "O_NOFOLLOW", 0)
UPLOADS, TEMPORARY = "uploads", "temporary"
MAX_AGE = 3600  # seconds that a file is kept
INTERVAL = 600  # seconds between two looks
DAY = 86_400  # seconds
TRIES = 50  # to delete a folder in which jobs are still at work
# What ends a process, but for Ctrl+C, which Python makes an exception of.
SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
]


def private_folder() -> Path:
    """A new folder for this run's files, in GRADIO_TEMP_DIR or the system's place for such.

    Only this user may read it. It is swept from time to time, and removed when the process ends,
    also by a signal that can be caught; call it once, from the main thread.
    """
    base = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()).absolute()
    base.mkdir(parents=True, exist_ok=True)
    remove_leftovers(base)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
    lock = _lock(folder)
    for part in (UPLOADS, TEMPORARY):
        (folder / part).mkdir()
    end = partial(_remove, folder, lock, os.getpid())
    atexit.register(end)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` asks for
            signal.signal(number, partial(_leave, end))
    threading.Thread(target=_sweep_now_and_then, args=[folder], daemon=True).start()
    tempfile.tempdir = None  # found out above; `variables` names another
    return folder


def variables(folder: Path) -> dict[str, str]:
    """Environment by which Gradio, Python and other libraries keep files in a run's folder."""
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder / TEMPORARY))
    return {"GRADIO_TEMP_DIR": str(folder / UPLOADS), **temporary}


def sweep(folder: Path, max_age: float = MAX_AGE) -> None:
    """Delete the files in a folder, at any depth, that nobody has written to for `max_age` seconds.

    Folders that are left empty go too, if they are as old.
    """
    oldest = time.time() - max_age
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            if Path(place, name) != folder / LOCK:
                _remove_if_old(Path(place, name), oldest)
        if Path(place) != folder:
            _remove_if_old(Path(place), oldest)


def forget_deleted(paths: set[str]) -> None:
    """Take files that are gone out of one of Gradio's sets of what it has stored."""
    paths.difference_update([path for path in list(paths) if not os.path.lexists(path)])


def forget_now_and_then(sets: list[set[str]]) -> None:
    """Do that with Gradio's sets from now on, in a thread of its own."""
    threading.Thread(target=_forget_now_and_then, args=[sets], daemon=True).start()


def remove_leftovers(base: Path) -> None:
    """Remove the folders of runs that have ended without doing so, by a power cut for example.

    Only such that are this user's and hold a lock that a demo has written: whatever else somebody
    has put there, under whatever name, stays.
    """
    for folder in base.glob(f"{PREFIX}*"):
        if NAME.fullmatch(folder.name):
            _remove_if_left(folder)


def _lock(folder: Path) -> int:
    """Lock a new folder; the system holds that until the process ends, however it ends."""
    part = folder / f"{LOCK}.part"  # seen by its name only once it is locked
    lock = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if fcntl is not None:
        fcntl.flock(lock, fcntl.LOCK_EX)
    os.write(lock, LOCK_TEXT)
    if fcntl is None:  # where an open file cannot be renamed
        os.close(lock)
        lock = -1
    part.rename(folder / LOCK)
    return lock


def _remove_if_left(folder: Path) -> None:
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode) or not _is_own(folder.lstat()):
            return
        lock = os.open(folder / LOCK, os.O_RDONLY | NO_WAIT | NO_LINK)
    except OSError:  # somebody else's, or no lock
        return
    try:
        status = os.fstat(lock)
        if not stat.S_ISREG(status.st_mode) or not _is_own(status):
            return
        if os.read(lock, len(LOCK_TEXT) + 1) != LOCK_TEXT:
            return
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif status.st_mtime > time.time() - DAY:
            return
        _delete(folder)
    except OSError:  # in use
        return
    finally:
        os.close(lock)


def _is_own(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _delete(folder: Path) -> None:
    """Delete a run's folder, its lock last: the next run knows by it what is left."""
    for _ in range(TRIES):
        try:
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != LOCK:
                    path.unlink(missing_ok=True)
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:  # a job that is still at work has written there meanwhile
            time.sleep(0.01)


def _remove(folder: Path, lock: int, process: int) -> None:
    if os.getpid() == process:  # a process that was forked off has no say
        for number in (*SIGNALS, signal.SIGINT):  # to be told twice changes nothing
            signal.signal(number, signal.SIG_IGN)
        _delete(folder)
        if lock >= 0:
            os.close(lock)


def _remove_if_old(path: Path, oldest: float) -> None:
    try:
        status = path.lstat()
        # Of a copy the one may be the original's, so both count.
        if max(status.st_mtime, status.st_ctime) > oldest:
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
        for part in (UPLOADS, TEMPORARY):
            sweep(folder / part, MAX_AGE)


def _forget_now_and_then(sets: list[set[str]]) -> None:
    while True:
        time.sleep(INTERVAL)
        for paths in list(sets):
            forget_deleted(paths)


def _leave(end: Callable[[], None], number: int, frame: FrameType | None) -> None:
    """End at once: jobs that were still at work would fail for want of threads, and say so."""
    end()
    with suppress(OSError, RuntimeError, ValueError):  # a line may be half printed
        sys.stdout.flush()
    os._exit(128 + number)
