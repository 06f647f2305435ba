"""Which runs of faces are one person: told by embeddings, after cuts, exits and crossings.

Nobody is in two places at once: runs that share a frame are never one person. In a film all is seen
before people are numbered, and the surest pairs are joined first. In a stream each run is given to
somebody as it begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simswap.faces.looks import Looks
from simswap.faces.runs import Run, RunTracker
from simswap.faces.tracking import Embed
from simswap.types import Face, FaceTrack

NEAR_BONUS = 0.15  # of cosine, to a run that began where and when another ended
NEVER = -2.0  # less than any difference of cosines that counts
FADE = 0.95  # a frame, of the face area that tells who is foremost in a stream
LEAD = 1.2  # times the area of whoever is foremost, from which another is
MAX_PEOPLE = 256  # of a film those with most face area, of a stream those seen last
MAX_OPEN = 256  # runs that wait to be joined

Span = tuple[int, int]  # first and last frame


@dataclass(eq=False)
class Person:
    """Somebody of a film: runs, of which no two share a frame.

    runs: their numbers; after: those that they followed.
    spans: in order, none begins right behind another. area, best: as for Run.
    """

    looks: Looks
    runs: set[int]
    after: set[int]
    spans: list[Span]
    area: float
    best: tuple[int, float, np.ndarray]

    @classmethod
    def of_run(cls, run: Run) -> Person:
        """Somebody with one run."""
        after = set() if run.after is None else {run.after}
        return cls(run.looks, {run.number}, after, [(run.first, run.last)], run.area, run.best)

    @property
    def num_frames(self) -> int:
        """In which the person was seen."""
        return sum(last - first + 1 for first, last in self.spans)

    def shares_a_frame(self, other: Person) -> bool:
        """Whether both were seen at once."""
        few, many = sorted((self.spans, other.spans), key=len)
        for first, last in few:
            # The last of the other's spans that begins before this one ends.
            nearest = bisect_right(many, last, key=lambda span: span[0]) - 1
            if nearest >= 0 and many[nearest][1] >= first:
                return True
        return False

    def follows(self, other: Person) -> bool:
        """Whether one of the runs began where one of the other's had ended."""
        return not self.after.isdisjoint(other.runs)

    def joined(self, other: Person) -> Person:
        """Both as one."""
        return Person(
            self.looks + other.looks,
            self.runs | other.runs,
            self.after | other.after,
            _merged(self.spans, other.spans),
            self.area + other.area,
            max(self.best, other.best, key=lambda best: best[1]),
        )

    def as_track(self, number: int) -> FaceTrack:
        """What others may know of the person."""
        frame, _, box = self.best
        box = tuple(round(float(value), 1) for value in box)
        first, last = self.spans[0][0], self.spans[-1][1]
        return FaceTrack(number, self.area, self.num_frames, first, last, frame, box)


def _merged(one: list[Span], other: list[Span]) -> list[Span]:
    """Spans that share no frame, in order; those without a gap between them as one."""
    merged: list[Span] = []
    for first, last in sorted(one + other):
        if merged and merged[-1][1] + 1 == first:
            merged[-1] = merged[-1][0], last
        else:
            merged.append((first, last))
    return merged


class FilmPeople:
    """The people of a film, joined of runs as these end; a few hundred of them are kept in mind."""

    def __init__(self) -> None:
        self._people: list[Person] = []
        self._num_joined = 0  # of _people, at the front: they have been compared with each other

    def add(self, runs: Sequence[Run]) -> None:
        """Take runs that are over."""
        self._people += map(Person.of_run, runs)
        if len(self._people) - self._num_joined >= MAX_OPEN:
            self._join()

    def finish(self) -> list[Person]:
        """Everybody, by face area, largest first; there are no more runs."""
        self._join()
        return self._people

    def _join(self) -> None:
        people = sorted(joined(self._people), key=lambda one: (-one.area, one.spans[0]))
        self._people = people[:MAX_PEOPLE]
        self._num_joined = len(self._people)


def joined(people: Sequence[Person]) -> list[Person]:
    """The same with everybody who is one person joined, the surest pair first."""
    left: list[Person | None] = list(people)
    if len(left) < 2:
        return list(people)
    means = np.stack([one.looks.mean for one in people])
    margins = np.stack([_margins(i, left, means) for i in range(len(left))])
    while True:
        i, j = (int(k) for k in np.unravel_index(margins.argmax(), margins.shape))
        if margins[i, j] < 0:
            return [one for one in left if one is not None]
        left[i], left[j] = left[i].joined(left[j]), None
        means[i] = left[i].looks.mean
        margins[i] = margins[:, i] = _margins(i, left, means)
        margins[j] = margins[:, j] = NEVER


def _margins(i: int, people: Sequence[Person | None], means: np.ndarray) -> np.ndarray:
    """[N] by how much person i resembles each more than is needed; NEVER: not the same person."""
    one = people[i]
    found = means @ means[i]
    for j, other in enumerate(people):
        if other is None or j == i:
            found[j] = NEVER
            continue
        found[j] -= max(one.looks.least_cosine, other.looks.least_cosine)
        if found[j] >= -NEAR_BONUS:
            found[j] += NEAR_BONUS * (one.follows(other) or other.follows(one))
            if found[j] >= 0 and one.shares_a_frame(other):
                found[j] = NEVER
    return found


@dataclass(eq=False)
class _Known:
    """Somebody of a stream: face area of late, and the frame when seen last."""

    looks: Looks
    area: float
    seen: int


class StreamPeople:
    """The people of a stream, in whose frames, taken one by one, each face gets its number.

    They are numbered as they come, in the first frame the largest face first. Not to be shared.
    foremost: who has had most face area of late. It passes on when somebody else has clearly had
    more, or at a cut; None: nobody was seen yet.
    """

    def __init__(self, embed: Embed) -> None:
        self.foremost: int | None = None
        self._embed = embed
        self._tracker = RunTracker()
        self._known: dict[int, _Known] = {}
        self._number_of: dict[int, int] = {}  # live run -> person
        self._num_frames = self._num_people = self._num_cuts = 0

    def numbered(self, frame: np.ndarray, faces: Sequence[Face]) -> list[Face]:
        """The faces (largest first) of the next frame (uint8 [H, W, 3] RGB) with their numbers."""
        runs = self._tracker.update(self._num_frames, frame, faces, self._embed)
        self._tracker.taken()
        present = {run.number for run in runs if run is not None}
        self._number_of = {run: n for run, n in self._number_of.items() if run in present}
        for run in runs:
            if run is not None and run.number not in self._number_of:
                self._number_of[run.number] = self._meet(run)
        numbers = [None if run is None else self._number_of[run.number] for run in runs]
        self._weigh(faces, numbers)
        self._num_frames += 1
        return [replace(face, track=n) for face, n in zip(faces, numbers, strict=True)]

    def embedding_of(self, number: int) -> np.ndarray:
        """[512] unit norm, of somebody who is there."""
        return self._known[number].looks.mean

    def _meet(self, run: Run) -> int:
        """Whose face has come: somebody's who was seen before and is not there, or a new one's."""
        there = set(self._number_of.values())
        absent = [number for number in self._known if number not in there]
        margins = [_margin(self._known[number].looks, run.looks) for number in absent]
        if absent and max(margins) >= 0:
            number = absent[int(np.argmax(margins))]
            self._known[number].looks += run.looks
            return number
        if len(self._known) >= MAX_PEOPLE and absent:
            del self._known[min(absent, key=lambda number: self._known[number].seen)]
        number = self._num_people
        self._num_people += 1
        self._known[number] = _Known(run.looks, 0.0, self._num_frames)
        return number

    def _weigh(self, faces: Sequence[Face], numbers: Sequence[int | None]) -> None:
        is_new_scene = self._tracker.num_cuts != self._num_cuts
        self._num_cuts = self._tracker.num_cuts
        for one in self._known.values():
            one.area *= 0 if is_new_scene else FADE
        for face, number in zip(faces, numbers, strict=True):
            if number is not None:
                self._known[number].area += face.area
                self._known[number].seen = self._num_frames
        if self._known:
            most = max(self._known, key=lambda number: self._known[number].area)
            holder = self._known.get(self.foremost)
            if holder is None or self._known[most].area > LEAD * holder.area:
                self.foremost = most


def _margin(one: Looks, other: Looks) -> float:
    """By how much two looks are more alike than one person's must be."""
    return float(one.mean @ other.mean) - max(one.least_cosine, other.least_cosine)
