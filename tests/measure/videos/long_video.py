"""A long video, by hand: is memory flat, and is what was killed and resumed the same to the end?

    python tests/measure/videos/long_video.py --source face.jpg --clip clip.mp4 --folder /tmp/long

Loops the clip to a long video and swaps it twice: once in one go, once killed (SIGKILL) at random
moments and started again. Prints the memory's curve and whether the two results are the same, frame
by frame and to the byte. `--faces largest` adds the first pass, which tells people apart. Takes an
hour or so on two cores, a tenth of that with `--width 320 --kills 0`, which leaves out the second;
`pytest` runs a small version of the same in test_video_shell.py. With `--cluster` the second is
made by tasks of Ray instead, as many at once as there are cores.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from fractions import Fraction
from functools import partial
from itertools import zip_longest
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from tests.support.media.video_files import same_but_for_the_signature, sound_packets

ROOT = Path(__file__).parents[3]

SECONDS_BETWEEN = 2.0  # two looks at a process
PARTS = 10  # of the curve
ENCODER = {"crf": "14", "preset": "veryfast", "bf": "0"}  # packets in order: easy to repeat


def loop(clip: Path, output: Path, minutes: float, rate: int, width: int | None) -> None:
    """Write a clip over and over, at `rate` frames per second, encoded once, with its sound.

    width: px, to which it is shrunk; None: it stays as large as it is.
    """
    info = probe_video(clip)
    step = max(round(info.frame_rate / rate), 1)
    with av.open(str(clip)) as source, av.open(str(output), "w") as container:
        sound = source.streams.audio[0]
        stream = container.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width = width or info.width
        stream.height = round(info.height * stream.width / info.width / 2) * 2
        stream.pix_fmt = "yuv420p"
        copy = container.add_stream_from_template(sound)
        pictures = []
        for number, image in enumerate(read_frames(info, 0, info.num_frames)):
            if number % step == 0:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = len(pictures), Fraction(1, rate)
                pictures += [(bytes(p), p.is_keyframe) for p in stream.encode(frame)]
        pictures += [(bytes(p), p.is_keyframe) for p in stream.encode()]
        sounds = [(bytes(p), p.pts) for p in source.demux(sound) if p.size]
        length = Fraction(len(pictures), rate)
        for turn in range(round(minutes * 60 / length)):
            for number, (data, is_key) in enumerate(pictures):
                shown = turn * len(pictures) + number
                container.mux(_packet(data, stream, shown, Fraction(1, rate), is_key))
            for data, pts in sounds:
                heard = pts + round(turn * length / sound.time_base)
                container.mux(_packet(data, copy, heard, sound.time_base, True))


def _packet(data: bytes, stream, when: int, time_base: Fraction, is_key: bool) -> av.Packet:
    packet = av.Packet(data)
    packet.stream, packet.time_base, packet.is_keyframe = stream, time_base, is_key
    packet.pts = packet.dts = when
    return packet


class Run:
    """One process that swaps the video."""

    def __init__(
        self, source: Path, video: Path, output: Path, faces: str, on_ray: bool = False
    ) -> None:
        self.folder = output.with_name(f".{output.name}.job")
        files = ("--source", source, "--target", video, "--output", output)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simswap", "video", *map(str, files), "--faces", faces]
            + ["--cluster"] * on_ray,
            cwd=ROOT,
            env=os.environ | {"SIMSWAP_HOME": str(output.parent)},
        )

    def num_segments(self) -> int:
        """Finished ones."""
        return len(list(self.folder.glob("segment-*.json")))

    def num_looked_at(self) -> int:
        """Segments that the first pass has done."""
        return len(list(self.folder.glob("faces-*.npy")))

    def memory(self) -> dict[str, float]:
        """Resident memory now and at its peak, in MB; empty when the process has ended."""
        try:
            lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        except OSError:
            return {}
        fields = dict(line.split(":", 1) for line in lines)
        found = {"now": fields.get("VmRSS"), "peak": fields.get("VmHWM")}
        return {name: int(text.split()[0]) / 1000 for name, text in found.items() if text}


def uninterrupted(run: Run, num_segments: int) -> None:
    """Print how much memory each tenth of the first pass, if there is one, and of the swap took."""
    curve: dict[str, list[float]] = {}
    peak, started = 0.0, time.monotonic()
    while run.process.poll() is None:
        if memory := run.memory():
            is_first = run.num_looked_at() and not run.num_segments()
            done = run.num_looked_at() if is_first else run.num_segments()
            part = min(done * PARTS // num_segments, PARTS - 1) + 1
            named = f"first pass, part {part}" if is_first else f"part {part}"
            curve.setdefault(named, []).append(memory["now"])
            peak = memory["peak"]
        time.sleep(SECONDS_BETWEEN)
    assert run.process.returncode == 0
    print(f"In one go: {time.monotonic() - started:.0f} s, peak {peak:.0f} MB")
    for named, values in curve.items():
        print(f"  {named}: mean {np.mean(values):.0f} MB, most {max(values):.0f} MB")


def killed(start, num_segments: int, num_kills: int, seed: int) -> None:
    """Start, kill, and start again until it ends."""
    chance = random.Random(seed)
    for share in sorted(chance.uniform(0, 0.97) for _ in range(num_kills)):
        run = start()
        while run.num_segments() < share * num_segments:
            assert run.process.poll() is None
            time.sleep(SECONDS_BETWEEN)
        time.sleep(chance.uniform(0, 10))
        assert run.process.poll() is None, "it ended before it could be killed"
        run.process.kill()
        run.process.wait()
        print(f"Killed with {run.num_segments()} of {num_segments} segments finished", flush=True)
    assert start().process.wait() == 0


def compare(one: Path, other: Path) -> None:
    """Print whether two videos are the same."""
    infos = [probe_video(path) for path in (one, other)]
    readers = [read_frames(info, 0, info.num_frames) for info in infos]
    pairs = zip_longest(*readers)
    num_same = sum(a is not None and b is not None and np.array_equal(a, b) for a, b in pairs)
    print(f"{num_same} of {infos[0].num_frames} and {infos[1].num_frames} decoded frames are equal")
    print("Sound packets equal:", sound_packets(one) == sound_packets(other))
    print("Bytes equal but for the signature:", same_but_for_the_signature(one, other))


def main() -> None:
    """Make the video, swap it twice, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, required=True, help="photo of a face")
    parser.add_argument("--clip", type=Path, required=True, help="short video with a face")
    parser.add_argument("--folder", type=Path, required=True, help="for all files; made if needed")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=int, default=3, help="frames per second of the long video")
    parser.add_argument("--width", type=int, help="px of the long video (default: the clip's)")
    parser.add_argument("--faces", default="all", help="see `python -m simswap video --help`")
    parser.add_argument("--kills", type=int, default=5, help="0: swap it once only")
    parser.add_argument("--cluster", action="store_true", help="swap it on Ray too, and compare")
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    video, whole, cut = (given.folder / f"{name}.mp4" for name in ("long", "whole", "cut"))
    loop(given.clip, video, given.minutes, given.rate, given.width)
    info = probe_video(video)
    print(f"{info.num_frames} frames, {info.duration / 60:.1f} min, {info.width}x{info.height}")
    num_segments = -(-info.num_frames // (4 * given.rate))
    uninterrupted(Run(given.source, video, whole, given.faces), num_segments)
    if given.cluster:
        assert Run(given.source, video, cut, given.faces, on_ray=True).process.wait() == 0
        compare(whole, cut)
    elif given.kills:
        start = partial(Run, given.source, video, cut, given.faces)
        killed(start, num_segments, given.kills, given.seed)
        compare(whole, cut)


if __name__ == "__main__":
    main()
