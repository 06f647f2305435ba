"""Takes files through all that a visitor's file goes through, in a process that may be lost.

A process of its own has a limit of memory and of time, so that a crash, a hang or memory without
end is seen, and is known to be that file's.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from simswap import FaceSwapper, SimSwapError
from simswap.demo.services.video_limits import LIMITS
from simswap.media.photos import read_photo
from simswap.verify.report import look_for_watermark, verify
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from tests.support.demo.process_memory import TreeWatch, forget_peak, memory_of
from tests.support.warm_trials import begin_warm
from tests.support.weights.tiny_bundle import make_bundle

ROOT = Path(__file__).parents[3]
MAX_DECODED = 50  # frames of a video, which a fuzzed file may claim any number of
STILL = (".jpg", ".png", ".webp", ".tif")  # no reader of videos knows them
START_SECONDS = 600.0
SECONDS_BETWEEN = 0.5  # two looks at a process that has not answered
PATIENCE = 20  # deadlines, after which also a process that does nothing hangs


@dataclass(frozen=True)
class Visit:
    """What became of a file.

    num_read, num_refused: how many of the functions took it, or said in a sentence why not.
    failures: what else happened: "hang", "crash, exit code N", or an error with its place.
    seconds: of processors, for all functions together: the machine may be busy with other work.
    peak_mb: memory of the process at its peak, above that of before.
    """

    num_read: int
    num_refused: int
    failures: Sequence[str]
    seconds: float
    peak_mb: float


class Visitor:
    """A process that visits files, begun anew when it is lost; close it at the end."""

    def __init__(
        self, deadline: float, memory: int, bundled: bool = False, *, is_warm: bool = False
    ) -> None:
        """deadline: processor seconds for a file. memory: bytes that a file may take.

        bundled: whether the bundled model looks at the pixels, else the smallest networks.
        is_warm: trial runs begin warm, and are left out of a visit's seconds.
        """
        self._deadline, self._settings = deadline, (memory, bundled, is_warm)
        self._process: multiprocessing.Process | None = None
        self._line: Connection | None = None

    def visit(self, path: Path) -> Visit:
        """Take one file through; never raises for what the file does."""
        if self._process is None:
            self._start()
        watch = TreeWatch(self._process.pid)
        begun = watch.cpu_seconds()
        self._line.send(str(path))
        try:
            if self._answers(watch, begun):
                return self._line.recv()
            failure = "hang"
        except (EOFError, ConnectionResetError):
            self._process.join()
            failure = f"crash, {_end_of(self._process.exitcode)}"
        seconds, peak = watch.cpu_seconds() - begun, memory_of(self._process.pid, "VmHWM")
        self.close()
        return Visit(0, 0, [failure], max(seconds, 0.0), peak)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _answers(self, watch: TreeWatch, begun: float) -> bool:
        """Whether there is an answer before the deadline."""
        started = time.monotonic()
        while not self._line.poll(SECONDS_BETWEEN):
            is_spent = watch.cpu_seconds() - begun > self._deadline
            if is_spent or time.monotonic() - started > PATIENCE * self._deadline:
                return False
        return True

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *self._settings), daemon=True)
        self._process.start()
        theirs.close()
        if not self._line.poll(START_SECONDS):
            raise RuntimeError("the process that visits files did not start")
        self._line.recv()


def visit(path: Path, swapper: FaceSwapper) -> Visit:
    """Take one file through in this process."""
    forget_peak("self")
    before, begun = memory_of("self"), _cpu_seconds()
    num_read, failures = 0, []
    ways: list[Callable[[], object]] = [lambda: read_photo(path), lambda: _report(path, swapper)]
    if path.suffix not in STILL:
        ways.append(lambda: _decode(path))
    for way in ways:
        try:
            way()
            num_read += 1
        except SimSwapError as error:
            if "\n" in str(error):
                failures.append(f"not a sentence: {type(error).__name__} {_place(error)}")
        except BaseException as error:
            failures.append(f"{type(error).__name__} {_place(error)}")
    num_refused = len(ways) - num_read - len(failures)
    peak = memory_of("self", "VmHWM") - before
    return Visit(num_read, num_refused, failures, _cpu_seconds() - begun, peak)


def _decode(path: Path) -> None:
    info = probe_video(path, LIMITS)
    with closing(read_frames(info, 0, info.num_frames)) as frames:
        for _ in islice(frames, MAX_DECODED):
            pass


def _report(path: Path, swapper: FaceSwapper) -> None:
    report = look_for_watermark(verify(path), path, swapper, ["fuzzed"])
    json.dumps(report.as_json())


def _serve(line: Connection, memory: int, bundled: bool, is_warm: bool) -> None:
    swapper = FaceSwapper.from_pretrained() if bundled else FaceSwapper(make_bundle(), device="cpu")
    visit(ROOT / "assets" / "examples" / "astronaut.jpg", swapper)  # all is loaded now
    held = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (held + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if is_warm and sys.platform == "linux":
        multiprocessing.current_process()._config["daemon"] = False  # it may have children
        begin_warm(pytest.MonkeyPatch())
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # what the decoders print of damaged files
    line.send(None)
    while True:
        line.send(visit(Path(line.recv()), swapper))


def _place(error: BaseException) -> str:
    """The innermost line of ours that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT / "simswap")]
    frame = (own or frames)[-1]
    return f"at {Path(frame.filename).name}:{frame.lineno} in {frame.name}"


def _end_of(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _cpu_seconds() -> float:
    """Processor time of this process, and of those it started that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)
