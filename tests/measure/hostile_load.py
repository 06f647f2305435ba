"""The demo under attack, by one hostile file or request at a time.

    python tests/measure/hostile_load.py --only "EXIF|MP4"

For each: the answer, its seconds, the server's own processor time, its memory at its peak and
afterwards, and how long an ordinary /swap_image takes that comes a moment after it. Ends with exit
code 1 if the memory rose by more than --most megabytes, the swap took more than --patience seconds,
or the server was gone. The server is started anew after each such case.
"""

from __future__ import annotations

import argparse
import io
import re
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.demo.demo_calls import EXAMPLES, call, swap_image, swap_video, upload
from tests.support.demo.demo_server import running_demo
from tests.support.demo.process_memory import TreeWatch
from tests.support.hostile.hostile_photos import HOSTILE_PHOTOS, jpeg_of_scans
from tests.support.hostile.hostile_requests import HOSTILE_REQUESTS
from tests.support.hostile.hostile_sockets import camera_frames
from tests.support.hostile.hostile_videos import HOSTILE_VIDEOS
from tests.support.hostile.large_media import (
    PHONE,
    close_up,
    crowd_of_faces,
    large_video,
    noise,
    phone_photo,
)

HEAD_START = 0.3  # s that the attack has before the ordinary swap
SETTLE = 2.0  # s after which memory is looked at again
GIVEN_UP = 90.0  # s for an answer
PATIENCE_FOR_VIDEOS = 300.0  # s for one of 30 large frames
LARGE_VIDEOS = {
    "AV1, 10 bits": ("libsvtav1", "yuv420p10le", {"preset": "12"}),
    "HEVC, 10 bits": ("libx265", "yuv420p10le", {"preset": "ultrafast"}),
    "H.264, 16 frames to refer to": ("libx264", "yuv420p", {"x264-params": "ref=16"}),
}
SIZES = ((1920, 1200), (2560, 1440))
OTHER = "192.0.2.1"  # the visitor whose ordinary swap comes a moment after an attack
DISK_GB = "100"  # one after the other, all attacks' files are more than one address may store
Attack = Callable[[str], str]
LINE = "{:58} {:>6} {:>6} {:>7} {:>6} {:>6}  {}"
HEAD = ("attack", "s", "cpu s", "peak MB", "after", "swap s", "answer")


@dataclass(frozen=True)
class Outcome:
    """What an attack did to the server. rise, after: MB above idle, at the peak and at the end.

    cpu_seconds: processor time, with the ordinary swap's. swap_seconds: None where that failed.
    """

    answer: str
    seconds: float
    cpu_seconds: float
    rise: float
    after: float
    swap_seconds: float | None
    is_alive: bool

    def is_harmful(self, most: float, patience: float) -> bool:
        is_late = self.swap_seconds is None or self.swap_seconds > patience
        return self.rise > most or is_late or not self.is_alive


class Demo:
    """The demo, started when it is needed and anew when it was harmed."""

    def __init__(self) -> None:
        self._running = None

    def address(self) -> tuple[str, psutil.Process]:
        """Where it is, after an ordinary swap has loaded all, and its process."""
        if self._running is None:
            self._folder = tempfile.TemporaryDirectory()
            settings = {"SIMSWAP_TRUSTED_PROXIES": "127.0.0.1", "SIMSWAP_JOBS_PER_ADDRESS": ""}
            settings["SIMSWAP_DISK_GB"] = DISK_GB
            running = running_demo(Path(self._folder.name), **settings)
            self._url, self._running = running.__enter__(), running
            self._process = _listener(int(self._url.rsplit(":", 1)[1]))
            for _ in range(2):
                ordinary_swap(self._url)
        return self._url, self._process

    def stop(self) -> None:
        if self._running is not None:
            with suppress(psutil.NoSuchProcess):
                self._process.kill()
            self._running.__exit__(None, None, None)
            self._folder.cleanup()
            self._running = None


def ordinary_swap(url: str) -> float | None:
    """Seconds of another visitor's /swap_image; None if it failed."""
    started = time.monotonic()
    try:
        target = upload(url, "target.jpg", (EXAMPLES / "astronaut.jpg").read_bytes(), OTHER)
        answer = swap_image(url, target, GIVEN_UP, OTHER)
    except OSError:
        return None
    return time.monotonic() - started if "event: complete" in answer else None


def attacked(attack: Attack, url: str, process: psutil.Process) -> Outcome:
    """What one attack does to the server."""
    told = {"answer": "no answer", "ended": None}

    def run() -> None:
        try:
            told["answer"] = attack(url)
        except OSError as error:
            told["answer"] = f"{type(error).__name__}: {error}"
        told["ended"] = time.monotonic()

    watch = TreeWatch(process.pid)
    idle, worked, started = watch.now(), watch.cpu_seconds(), time.monotonic()
    with watch:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        time.sleep(HEAD_START)
        swap_seconds = ordinary_swap(url)
        thread.join(PATIENCE_FOR_VIDEOS)
        time.sleep(SETTLE)
    seconds = (told["ended"] or time.monotonic()) - started
    worked = watch.cpu_seconds() - worked
    is_alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    answer = " ".join(str(told["answer"]).split())
    memory = watch.peak - idle, watch.now() - idle
    return Outcome(answer, seconds, worked, *memory, swap_seconds, is_alive)


def as_file(make: Callable[[], bytes], name: str, how: Callable) -> Attack:
    """An attack by a file that is uploaded and then used."""
    return lambda url: how(url, upload(url, name, make()), patience=GIVEN_UP)


def attacks() -> dict[str, Attack]:
    """All of them by their names."""
    verify = partial(lambda url, file, patience: call(url, "verify", file, patience=patience))
    found: dict[str, Attack] = {}
    for name, make in HOSTILE_PHOTOS.items():
        found[f"target: {name}"] = as_file(make, "photo.jpg", swap_image)
        found[f"verify: {name}"] = as_file(make, "photo.jpg", verify)
    for name, make in HOSTILE_VIDEOS.items():
        found[f"video: {name}"] = as_file(make, "video.mp4", swap_video)
        found[f"verify: {name}"] = as_file(make, "video.mp4", verify)
    for name in HOSTILE_PHOTOS:
        if "JPEG" in name and "65,000" not in name:
            found[f"camera: {name}"] = partial(_filmed, HOSTILE_PHOTOS[name])
    found["camera: 40,000 scans"] = partial(_filmed, partial(jpeg_of_scans, 1280, 720, 40_000))
    for kind in ("JPEG", "PNG"):
        make = partial(phone_photo, kind)
        found[f"target: {kind} of {PHONE[0]} x {PHONE[1]}"] = as_file(make, "photo", swap_image)
        found[f"verify: {kind} of {PHONE[0]} x {PHONE[1]}"] = as_file(make, "photo", verify)
    for side in (3900, 7000):
        make = partial(close_up, side)
        found[f"target: a part of a face, {side} x {side}"] = as_file(make, "photo", swap_image)
    make = partial(noise, 7000, 7000)
    found["target: noise, 7000 x 7000"] = as_file(make, "photo", swap_image)
    every_cell = partial(_detected, partial(noise, 22000, 700))
    found["detect_faces: each cell of a panorama of noise"] = every_cell
    for (kind, how), size in product(LARGE_VIDEOS.items(), SIZES):
        make = partial(large_video, *how, size)
        swap_whole = partial(_swap_whole, make)
        found[f"video: 30 frames of {size[0]} x {size[1]}, {kind}"] = swap_whole
    crowd = partial(large_video, *LARGE_VIDEOS["AV1, 10 bits"], SIZES[0], across=8)
    found["video: 64 faces in each of 30 frames"] = partial(_swap_whole, crowd)
    found["256 faces in three kinds of call"] = _crowd_in_lanes
    found["three files of one visitor"] = _three_at_once
    return found | {f"request: {name}": attack for name, attack in HOSTILE_REQUESTS.items()}


def _listener(port: int) -> psutil.Process:
    """The process of ours, or of one that ours started, that listens at a port."""
    return next(
        process
        for process in psutil.Process().children(recursive=True)
        if any(line.laddr.port == port for line in process.net_connections("tcp"))
    )


def _swap_whole(make: Callable[[], bytes], url: str) -> str:
    return swap_video(url, upload(url, "large.mp4", make()), PATIENCE_FOR_VIDEOS, end=None)


def _detected(make: Callable[[], bytes], url: str) -> str:
    file = upload(url, "noise.jpg", make())
    return call(url, "detect_faces", file, 0.0, None, patience=GIVEN_UP)


def _three_at_once(url: str) -> str:
    """A large video is swapped, a larger one verified, and a face put into a phone's photo."""
    hows, codec = (swap_video, call, swap_image), LARGE_VIDEOS["AV1, 10 bits"]
    made = (partial(large_video, *codec, size) for size in (SIZES[0], (3840, 2160)))
    files = [upload(url, "file", make()) for make in (*made, partial(phone_photo, "JPEG"))]
    given = (files[0], PATIENCE_FOR_VIDEOS, None), ("verify", files[1]), (files[2], GIVEN_UP)
    return _at_once(partial(how, url, *it) for how, it in zip(hows, given, strict=True))


def _crowd_in_lanes(url: str) -> str:
    """A photo of a phone's size, with a crowd, in each kind of call that reads photos."""
    stream = io.BytesIO()
    crowd_of_faces(PHONE, across=16).save(stream, "JPEG")
    file = upload(url, "crowd.jpg", stream.getvalue())
    others = (("verify", file), ("detect_faces", file, 0.5, None))
    swap = partial(swap_image, url, file, patience=PATIENCE_FOR_VIDEOS)
    rest = (partial(call, url, *it, patience=PATIENCE_FOR_VIDEOS) for it in others)
    return _at_once([swap, *rest])


def _at_once(calls: Iterable[Callable[[], str]]) -> str:
    threads = [threading.Thread(target=one) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "all answered"


def _filmed(make: Callable[[], bytes], url: str) -> str:
    return camera_frames(url, make())


@contextmanager
def limited(num_bytes: int) -> Iterator[None]:
    """A limit of memory for each process begun within, so that the machine survives."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (num_bytes, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def row(name: str, done: Outcome, is_harmful: bool) -> str:
    """A line of the table."""
    swap = "none" if done.swap_seconds is None else f"{done.swap_seconds:.1f}"
    figures = (f"{done.seconds:.1f}", f"{done.cpu_seconds:.1f}", f"{done.rise:.0f}")
    says = "GONE " * (not done.is_alive) + "HARMED " * is_harmful + done.answer[:150]
    return LINE.format(name[:58], *figures, f"{done.after:.0f}", swap, says)


def main() -> int:
    """Attack, and print a line for each attack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="a pattern that the names must contain")
    parser.add_argument("--limit", type=float, default=6000, help="MB that the server can take")
    parser.add_argument("--most", type=float, default=600, help="MB that it may take above idle")
    parser.add_argument("--patience", type=float, default=10, help="s for an ordinary swap")
    given = parser.parse_args()
    chosen = {name: one for name, one in attacks().items() if re.search(given.only, name)}
    harmed, demo = [], Demo()
    print(LINE.format(*HEAD))
    with limited(round(given.limit * 1e6)):
        try:
            for name, attack in chosen.items():
                done = attacked(attack, *demo.address())
                is_harmful = done.is_harmful(given.most, given.patience)
                print(row(name, done, is_harmful), flush=True)
                if is_harmful:
                    harmed.append(name)
                    demo.stop()
        finally:
            demo.stop()
    print(f"{len(harmed)} of {len(chosen)} attacks did harm.")
    return 1 if harmed else 0


if __name__ == "__main__":
    sys.exit(main())
