"""Python programs in processes of their own, forked from one that has imported the libraries.

Such a process is as real as one that begins cold, and begins seconds of computing sooner.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import multiprocessing
import os
import re
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import types
from collections.abc import Mapping, Sequence
from contextlib import chdir
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.support.examples import ROOT

# Those that read no setting while they are imported but these, which all programs have alike; so
# neither gradio nor huggingface_hub, which have servers of their own.
LIBRARIES = [
    *("torch", "torch.export", "torch.distributed", "cv2", "av", "PIL.Image", "openvino", "scipy"),
    *("safetensors.torch", "pandas", "fastapi", "uvicorn", "httpx", "mcp.server.fastmcp"),
    *("simswap.swapper", "simswap.video.job", "simswap.verify.report"),
]
OURS = ("simswap", "train")
SETTINGS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
# Settings that others read while they are imported.
_READ = re.compile(r"(gradio|hf|huggingface|transformers|tqdm|xdg)_.*|home|.*_proxy", re.IGNORECASE)
_AT_FIRST = dict(os.environ)  # before a test has changed it


class WarmProcess:
    """A running program, with what the tests use of subprocess.Popen."""

    def __init__(self, process: multiprocessing.Process, output: Path, errors: Path | None) -> None:
        self.pid = process.pid
        self._process, self._output, self._errors = process, output, errors

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("python", timeout)
        return self._process.exitcode

    def said(self) -> str:
        """What it printed so far, and said where that is not apart."""
        return self._output.read_text() if self._output.exists() else ""

    def communicate(self, timeout: float | None = None) -> tuple[str, str | None]:
        """What it printed, and what it said if that is apart, once it has ended."""
        self.wait(timeout)
        return self._output.read_text(), self._errors and self._errors.read_text()

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmServer(forkserver.ForkServer):
    """A process that has imported modules and is forked; it starts when it is asked first."""

    def __init__(
        self,
        modules: Sequence[str],
        settings: Mapping[str, str] | None = None,
        later: Sequence[str] = (),
    ) -> None:
        """settings: under which it imports. later: those that modules read anew in a program."""
        super().__init__()
        self.set_forkserver_preload([*modules, __name__])
        self.environment = {**_AT_FIRST, **(settings or {}), **SETTINGS}
        self._later = frozenset(later)

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a program with this environment would import the modules as they are."""
        return self._later <= environment.keys() and (
            self._read(environment) == self._read(self.environment)
        )

    def _read(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            name: value
            for name, value in environment.items()
            if _READ.fullmatch(name) and name not in self._later
        }


def forked(server: WarmServer, *program: object) -> multiprocessing.Process:
    """A process of the server that becomes the program; see `_run` for what that is."""
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_run, args=program, daemon=True)  # none outlives the tests
    with _lock, pytest.MonkeyPatch.context() as patched:
        _begin(server)
        patched.setattr(forkserver, "connect_to_new_process", server.connect_to_new_process)
        process.start()
    return process


@cache
def _begin(server: WarmServer) -> None:
    """Start it outside of what limits the test that happens to be the first."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit[1], limit[1]))
    try:
        with chdir(ROOT), patch.dict(os.environ, server.environment, clear=True):
            server.ensure_running()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


_lock = threading.Lock()
_programs = WarmServer(LIBRARIES)


def start_warm(
    arguments: Sequence[str | Path],
    output: Path,
    errors: Path | None = None,
    *,
    folder: Path = ROOT,
    variables: Mapping[str, str] | None = None,
    server: WarmServer = _programs,
) -> WarmProcess:
    """`python` with these arguments (a script's path, -m or -c first), in `folder`.

    What it prints goes to the file `output`; what it says to `errors`, or there too. variables:
    its environment's beside this process's own. It leads a session of its own. server: who begins
    it, if its modules fit the environment.
    """
    environment = {**os.environ, **(variables or {}), **SETTINGS}
    arguments = list(map(str, arguments))
    server = server if server.fits(environment) else _programs
    process = forked(server, arguments, environment, folder, output, errors)
    return WarmProcess(process, output, errors)


def run_warm(
    *arguments: str | Path,
    variables: Mapping[str, str] | None = None,
    timeout: float = 240,
    server: WarmServer = _programs,
) -> subprocess.CompletedProcess[str]:
    """The same to its end, as subprocess.run gives it."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output.txt"), Path(folder, "errors.txt")
        process = start_warm(arguments, output, errors, variables=variables, server=server)
        try:
            printed, said = process.communicate(timeout)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, printed, said)


def _run(
    arguments: list[str],
    environment: dict[str, str],
    folder: Path,
    output: Path,
    errors: Path | None,
    content: bytes = b"",
) -> None:
    """Become the program: all that a process has from its start is as if it had begun cold."""
    multiprocessing.current_process()._config["daemon"] = False  # it may have children
    gc.freeze()  # nothing that was imported before is garbage
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None  # to be looked for again
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    for number, path in ((1, output), (2, errors)):
        if path:
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
            os.dup2(opened, number)
            os.close(opened)
    if not errors:
        os.dup2(1, 2)
    with tempfile.TemporaryFile() as given:
        given.write(content)
        given.seek(0)
        os.dup2(given.fileno(), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)
    faulthandler.enable()
    try:
        _run_as_main(arguments, folder)
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def _run_as_main(arguments: list[str], folder: Path) -> None:
    if folder != ROOT:  # where another copy of our modules may lie
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
    others = [path for path in sys.path if path and Path(path) != ROOT]
    sys.argv = arguments
    if arguments[0] == "-m":
        sys.path[:], sys.argv = [str(folder), *others], arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.path[:], sys.argv = [str(folder), *others], ["-c", *arguments[2:]]
        sys.modules["__main__"] = main = types.ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), vars(main))
    else:
        script = folder / arguments[0]
        sys.path[:] = [str(script.parent), *others]
        runpy.run_path(str(script), run_name="__main__")
