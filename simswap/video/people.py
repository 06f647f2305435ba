"""The first pass over a video: where its faces are, and which of them are one person.

Faces are found as the swap would find them, once for both; of each frame the job's folder keeps
their boxes and landmarks, of a video who is who. What tells people apart is kept in memory only:
their embeddings. So a pass that was interrupted takes these anew, and the faces from the folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from simswap.errors import OptionError
from simswap.faces.people import FilmPeople
from simswap.faces.runs import RunTracker
from simswap.swap.casting import cast_of, film_roles
from simswap.swap.pipeline import Pipeline
from simswap.swap.selection import Cast
from simswap.swap.stream import StreamOptions, workers_for
from simswap.swap.threads import made_ahead
from simswap.types import Face, FaceTrack, Identity, Source, SwapOptions, SwapResult
from simswap.video.job_folder import JobFolder
from simswap.video.options import VideoOptions
from simswap.video.segments import Segment, cut
from simswap.video.source.info import probe_video, trim
from simswap.video.source.reading import read_frames

QUEUE_DEPTH = 2  # frames that wait between two steps: enough to even out their paces
QUEUE_BYTES = 40_000_000  # of such frames, but for one that has more
NOBODY = -1
# A face in a segment; run: see RunTracker, or NOBODY.
ROW = np.dtype(
    [
        ("frame", "<i4"),
        ("run", "<i4"),
        ("box", "<f4", 4),
        ("landmarks", "<f4", (5, 2)),
        ("score", "<f8"),
    ]
)


def queue_depth(frame_bytes: int) -> int:
    """How many frames of so many bytes wait between two steps."""
    return max(min(QUEUE_DEPTH, QUEUE_BYTES // frame_bytes), 1)


class PeopleSoFar:
    """What is known of a video's people while it is looked at. It may be pickled."""

    def __init__(self) -> None:
        self.tracker = RunTracker()
        self.film = FilmPeople()


@dataclass(frozen=True, eq=False)
class FirstPass:
    """Looks for the people of a video, segment by segment, before it is swapped.

    read: frames from a number to before another; folder: open, takes what is found.
    """

    read: Callable[[int, int], Iterator[np.ndarray]]
    segments: Sequence[Segment]
    folder: JobFolder
    source: Source
    options: SwapOptions
    detect_every: int

    def look(
        self, pipeline: Pipeline, number: int, people: PeopleSoFar
    ) -> Generator[int, None, PeopleSoFar]:
        """Look at a segment, after those before it: yields how many of its frames are done.

        Returns `people`, who have learnt of those in it.
        """
        segment = self.segments[number]
        stream = StreamOptions(self.detect_every, workers=workers_for(pipeline.device))
        rows = []
        with (
            made_ahead(self.read(segment.first, segment.end), QUEUE_DEPTH) as frames,
            closing(self._found(pipeline, frames, segment, stream)) as found,
        ):
            for index, (frame, faces) in enumerate(found, start=segment.first):
                runs = people.tracker.update(index, frame, faces, pipeline.embed)
                people.film.add(people.tracker.taken())
                for face, run in zip(faces, runs, strict=True):
                    run_number = NOBODY if run is None else run.number
                    rows.append((index, run_number, face.box, face.landmarks, face.score))
                yield index + 1 - segment.first
        self.folder.keep_faces(number, np.array(rows, ROW))
        return people

    def finish(self, people: PeopleSoFar) -> None:
        """Number everybody and decide who is swapped, once all segments were looked at.

        Raises OptionError if there is no person of a number that was asked for.
        """
        people.film.add(people.tracker.finish())
        persons = people.film.finish()
        try:
            roles, notices = film_roles(persons, self.source, self.options.faces)
        except OptionError:  # nothing can go on from here, with these options
            self.folder.forget_faces()
            raise
        if people.tracker.num_left_out:
            notices = (
                *notices,
                f"{people.tracker.num_left_out} faces belong to nobody: there were too many.",
            )
        track_of_run = [
            (run, number) for number, one in enumerate(persons) for run in sorted(one.runs)
        ]
        self.folder.keep_people(
            {
                "tracks": [asdict(one.as_track(number)) for number, one in enumerate(persons)],
                "track of run": track_of_run,
                "roles": list(roles.items()),
                "notices": notices,
            }
        )

    @property
    def is_done(self) -> bool:
        """Whether all was looked at."""
        return self.folder.people() is not None

    def tracks(self) -> tuple[FaceTrack, ...]:
        """Everybody, by number."""
        with self.folder.telling_damage():
            return tuple(FaceTrack(**one) for one in self.folder.people()["tracks"])

    def notices(self) -> tuple[str, ...]:
        """What the caller should know."""
        with self.folder.telling_damage():
            return tuple(self.folder.people()["notices"])

    def cast(self) -> Cast:
        """Who becomes whom."""
        with self.folder.telling_damage():
            return cast_of(dict(self.folder.people()["roles"]), self.source)

    def faces_from(self, start: int) -> Iterator[list[Face]]:
        """The faces of each frame from `start` on, largest first, with their track numbers."""
        with self.folder.telling_damage():
            track_of = dict(self.folder.people()["track of run"])
        for segment in self.segments:
            if segment.end > start:
                yield from self._stored(segment, max(segment.first, start), track_of)

    def _found(
        self,
        pipeline: Pipeline,
        frames: Iterator[np.ndarray],
        segment: Segment,
        stream: StreamOptions,
    ) -> Generator[tuple[np.ndarray, list[Face]], None, None]:
        """Each frame of a segment with its faces, looked for where an interrupted pass has not."""
        if self.folder.has_faces(segment.number):
            yield from zip(frames, self._stored(segment, segment.first, {}), strict=True)
            return
        with closing(pipeline.find_faces(frames, self.options, stream)) as found:
            yield from found

    def _stored(
        self, segment: Segment, first: int, track_of: Mapping[int, int]
    ) -> Iterator[list[Face]]:
        """The faces of each frame of a segment from `first` on; track_of: by run."""
        rows = self.folder.faces(segment.number, ROW)
        ends = np.searchsorted(rows["frame"], np.arange(first, segment.end + 1))
        for begin, end in pairwise(ends):
            yield [_face(row, track_of) for row in rows[begin:end]]


def swap_known(
    pipeline: Pipeline,
    frames: Iterator[np.ndarray],
    start: int,
    source: Source,
    options: SwapOptions,
    stream: StreamOptions,
    first_pass: FirstPass | None,
) -> Iterator[SwapResult]:
    """Pipeline.swap_frames of frames from `start` on, with what a first pass has found out."""
    if first_pass is None:
        return pipeline.swap_frames(frames, source, options, stream=stream)
    cast, known = first_pass.cast(), first_pass.faces_from(start)
    return pipeline.swap_frames(frames, cast, options, stream=stream, known=known)


def people_of_video(
    pipeline: Pipeline,
    target: Path,
    options: SwapOptions,
    video: VideoOptions,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[FaceTrack, ...]:
    """The people of a video, see FaceSwapper.people_of."""
    info = probe_video(target, video.limits)
    first, end = trim(info, video.start, video.end)
    segments = cut(first, end, video.frames_per_segment(float(info.frame_rate)))
    nobody = Identity(np.zeros(512, np.float32))
    everybody = replace(options, faces="all")
    with tempfile.TemporaryDirectory() as folder:
        first_pass = FirstPass(
            partial(read_frames, info),
            segments,
            JobFolder(Path(folder)),
            nobody,
            everybody,
            video.detect_every,
        )
        for done in looks(first_pass, partial(first_pass.look, pipeline)):
            if on_progress is not None:
                on_progress(done, end - first)
        return first_pass.tracks()


LookAtSegment = Callable[[int, PeopleSoFar], Generator[int, None, PeopleSoFar]]


def looks(first_pass: FirstPass, look: LookAtSegment) -> Iterator[int]:
    """Carry out a first pass: yields how many frames were looked at, at each.

    look: looks at one segment, see FirstPass.look.
    """
    people, done = PeopleSoFar(), 0
    for segment in first_pass.segments:
        steps = look(segment.number, people)
        with closing(steps):
            people = yield from _counted(steps, done)
        done += segment.end - segment.first
    first_pass.finish(people)


def _counted(
    steps: Generator[int, None, PeopleSoFar], before: int
) -> Generator[int, None, PeopleSoFar]:
    while True:
        try:
            count = next(steps)
        except StopIteration as end:
            return end.value
        yield before + count


def _face(row: np.void, track_of: Mapping[int, int]) -> Face:
    track = track_of.get(int(row["run"]))
    return Face(row["box"], row["landmarks"], float(row["score"]), track)
