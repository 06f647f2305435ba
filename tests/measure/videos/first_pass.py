"""What telling people apart costs a video's job, in processor time.

    python tests/measure/videos/first_pass.py --source face.jpg clip.mp4 other.mp4

Swaps each clip twice: its largest person alone, and everybody by number. Prints for both which
share of the job the first pass is, and which share it adds: what it does besides finding faces,
which the swap does not do again. That is the first pass, less the same finding alone, but for the
decoding. Processor time is summed over threads, so others at work on the machine disturb it little.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from simswap import FaceSwapper, Identity, SwapOptions, VideoOptions
from simswap.media.photos import read_photo
from simswap.swap.stream import StreamOptions, workers_for
from simswap.types import FaceChoice
from simswap.video import progress
from simswap.video.job import VideoJob
from simswap.video.people import PeopleSoFar
from simswap.video.source.info import VideoInfo, probe_video, trim
from simswap.video.source.reading import read_frames


@dataclass
class Cost:
    """Seconds of processor time: of a job, and of its first pass. people: how many were found."""

    job: float = 0.0
    first_pass: float = 0.0
    people: int = 0


def seconds_of(items: Iterable) -> float:
    """Of processor time, to take all of them."""
    started = time.process_time()
    for _ in items:
        pass
    return time.process_time() - started


def cost_of(
    swapper: FaceSwapper, clip: Path, identity: Identity, faces: FaceChoice, video: VideoOptions
) -> Cost:
    """Swap a clip."""
    cost = Cost()

    def look(number: int, people: PeopleSoFar) -> Generator[int, None, PeopleSoFar]:
        started = time.process_time()
        people = yield from job.first_pass.look(swapper, number, people)
        cost.first_pass += time.process_time() - started
        return people

    def make_segment(number: int) -> progress.Steps:
        cost.people = len(job.first_pass.tracks())
        return progress.segment_steps(job, swapper, number)

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.mp4")
        options = SwapOptions(faces=faces)
        job = VideoJob.plan(swapper, clip, output, identity, options, video)
        cost.job = seconds_of(progress.run(job, make_segment, look))
    return cost


def shared_seconds(swapper: FaceSwapper, info: VideoInfo, num_frames: int) -> float:
    """Seconds of what a first pass shares with the swap: finding faces, without the decoding."""
    stream = StreamOptions(VideoOptions.detect_every, workers=workers_for(swapper.device))

    def found(number: int) -> Iterable:
        return swapper.find_faces(read_frames(info, 0, number), SwapOptions(), stream)

    seconds_of(found(stream.detect_every))  # networks are compiled for this size of frame
    return seconds_of(found(num_frames)) - seconds_of(read_frames(info, 0, num_frames))


def main() -> None:
    """Swap, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--source", type=Path, required=True, help="photo of a face")
    parser.add_argument("--end", type=float, help="seconds of each clip that are taken")
    given = parser.parse_args()
    video = VideoOptions(end=given.end)
    swapper = FaceSwapper.from_pretrained()
    swapper.warm_up()
    identity = swapper.identity_of(read_photo(given.source).image)
    for clip in given.clips:
        info = probe_video(clip)
        _, num_frames = trim(info, None, given.end)
        shared = shared_seconds(swapper, info, num_frames)
        largest = cost_of(swapper, clip, identity, "largest", video)
        everybody = cost_of(swapper, clip, identity, tuple(range(largest.people)), video)
        print(f"{clip.stem}: {num_frames} frames, {largest.people} people")
        for who, cost in (("the largest", largest), ("everybody", everybody)):
            whole, more = (
                100 * seconds / cost.job for seconds in (cost.first_pass, cost.first_pass - shared)
            )
            per_frame = 1000 * cost.job / num_frames
            print(
                f"  {who}: {per_frame:.0f} ms a frame, of which the first pass is {whole:.0f} % "
                f"and adds {more:.0f} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
