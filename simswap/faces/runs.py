"""Who is still there from frame to frame: runs of one face without a gap or a doubt.

A face goes on as a run where its box was, moved on as it moved, if the picture in the box looks the
same. Whatever is doubtful (people who cross, a cut, a jump) is decided by embeddings: either the
run goes on, or it ends there and another begins. That a person has several runs is settled later,
by people.py. So embeddings are taken where a run begins, ends or is doubted, and now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from simswap.faces.looks import Looks, Seen
from simswap.faces.nms import overlaps
from simswap.faces.tracking import Embed
from simswap.types import Face

MAX_FACES = 64  # of one frame, the largest; others belong to nobody
MAX_RUNS = 100_000  # of one video; faces that come later belong to nobody

CLEAR_OVERLAP = 0.5  # of a face with where it was expected, enough if it looks the same too
LEAST_OVERLAP = 0.2  # from there on an embedding decides; two such faces make both doubtful
# Correlation of two patches, enough if the face is where it was expected, and cosine of a doubtful
# face with its run: of a face that can be recognised, and of a vaguer one, whose embedding says
# little, so that it is followed where it is not cut off. Look-alikes have up to 0.9 and 0.55.
CLEAR_LIKENESS, VAGUE_LIKENESS = 0.9, 0.8
SAME_RUN_COSINE, VAGUE_RUN_COSINE = 0.6, 0.4
VAGUE = 0.5  # least cosine that a run's looks ask for, from which it is a vaguer one
REFRESH = 24  # frames from one embedding of a run to the next
MIN_AGE = 6  # frames since the last, for a run's end to be embedded too
NEAR_FRAMES = 30  # within which a run may go on where another ended
NEAR_OVERLAP = 0.3  # of their boxes
CUT = 25.0  # mean difference of two frames' thumbnails, of 255, that makes a cut
THUMBNAIL = (32, 18)  # px


@dataclass(eq=False)
class Run:
    """A face in frames `first` to `last`, in all of them.

    after: the run that ended where this one began, shortly before; None: none, or several.
    area: of the boxes, summed, px^2. best: frame, area and box ([4] xyxy) of the largest.
    """

    number: int
    first: int
    last: int
    looks: Looks
    after: int | None = None
    area: float = 0.0
    best: tuple[int, float, np.ndarray] | None = None


@dataclass(eq=False)
class _Live:
    """A run's newest face, its patch, and when it was last embedded."""

    run: Run
    face: Face
    patch: np.ndarray
    embedded: int  # frame
    step: np.ndarray = field(default_factory=lambda: np.zeros(2))  # px a frame

    @property
    def expected(self) -> np.ndarray:
        """[4] box xyxy in the next frame."""
        return self.face.box + np.tile(self.step, 2)

    @property
    def needed(self) -> tuple[float, float]:
        """Of the next face, in its patch's likeness without a doubt, and else in cosine."""
        if self.run.looks.least_cosine < VAGUE:
            return CLEAR_LIKENESS, SAME_RUN_COSINE
        return VAGUE_LIKENESS, VAGUE_RUN_COSINE

    def take(self, number: int, face: Face, patch: np.ndarray) -> None:
        """Go on with a face in frame `number`."""
        moved = (face.box - self.face.box).reshape(2, 2).mean(axis=0)
        self.step = (self.step + moved) / 2
        self.face, self.patch = face, patch
        self.run.last = number
        self.run.area += face.area
        if self.run.best is None or face.area > self.run.best[1]:
            self.run.best = number, face.area, face.box


class RunTracker:
    """Runs of the faces in frames that come one by one, in order. It may be pickled between them.

    ended: runs that are over, not yet taken away. num_cuts: so far.
    num_left_out: faces that belong to nobody.
    """

    def __init__(self) -> None:
        self.ended: list[Run] = []
        self.num_cuts = self.num_left_out = 0
        self._live: list[_Live] = []
        self._gone: list[tuple[int, int, np.ndarray]] = []  # run, last frame, box
        self._frame: np.ndarray | None = None
        self._thumbnail: np.ndarray | None = None
        self._num_runs = 0

    @property
    def live(self) -> list[Run]:
        """Runs of the newest frame's faces."""
        return [one.run for one in self._live]

    def update(
        self, number: int, frame: np.ndarray, faces: Sequence[Face], embed: Embed
    ) -> list[Run | None]:
        """The run of each of the next frame's faces (largest first); None: it belongs to nobody.

        number: the frame's, one more than the last; frame: uint8 [H, W, 3] RGB.
        """
        is_cut = self._is_cut(frame)
        seen = Seen(frame, faces[:MAX_FACES], embed)
        runs = self._continued(seen, is_cut)
        self._end([one for one in self._live if one not in runs], embed)
        self._gone = [] if is_cut else [g for g in self._gone if number - g[1] <= NEAR_FRAMES]
        new = [i for i, run in enumerate(runs) if run is None]
        new = new[: max(MAX_RUNS - self._num_runs, 0)]
        for i, looks in seen.looks(new).items():
            runs[i] = self._begin(number, seen.faces[i], seen.patches[i], looks)
        due = []
        for i, one in enumerate(runs):
            if one is not None:
                one.take(number, seen.faces[i], seen.patches[i])
                if number - one.embedded >= REFRESH:
                    due.append(i)
        for i, looks in seen.looks(due).items():
            runs[i].run.looks += looks
            runs[i].embedded = number
        self._live, self._frame = [one for one in runs if one is not None], frame
        self.num_left_out += len(faces) - len(self._live)
        found = [None if one is None else one.run for one in runs]
        return found + [None] * (len(faces) - len(found))

    def finish(self) -> list[Run]:
        """All runs that have not been taken away; there are no more frames."""
        self.ended += self.live
        self._live, self._frame = [], None
        return self.taken()

    def taken(self) -> list[Run]:
        """The runs that are over, which are forgotten here."""
        ended, self.ended = self.ended, []
        return ended

    def _is_cut(self, frame: np.ndarray) -> bool:
        small = cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA)
        before, self._thumbnail = self._thumbnail, small.astype(np.float32).mean(axis=2)
        is_cut = before is not None and np.abs(self._thumbnail - before).mean() > CUT
        self.num_cuts += is_cut
        return bool(is_cut)

    def _continued(self, seen: Seen, is_cut: bool) -> list[_Live | None]:
        """Which of the runs each face goes on with."""
        runs: list[_Live | None] = [None] * len(seen.faces)
        if not self._live or not seen.faces or is_cut:
            return runs
        boxes = np.stack([face.box for face in seen.faces])
        overlap = np.stack([overlaps(one.expected, boxes)[0] for one in self._live])
        is_possible = overlap >= LEAST_OVERLAP  # [runs, faces]
        is_alone = (is_possible.sum(0)[None] == 1) & (is_possible.sum(1)[:, None] == 1)
        is_near = is_alone & (overlap >= CLEAR_OVERLAP)
        doubtful, needed = [], [one.needed for one in self._live]
        for i, j in (map(int, pair) for pair in np.argwhere(is_possible)):
            if is_near[i, j] and self._live[i].patch @ seen.patches[j] >= needed[i][0]:
                runs[j] = self._live[i]
            else:
                doubtful.append((i, j))
        embeddings = seen.embeddings(sorted({j for _, j in doubtful}))
        cosines = {(i, j): float(self._live[i].run.looks.mean @ embeddings[j]) for i, j in doubtful}
        for i, j in sorted(doubtful, key=lambda pair: (-cosines[pair], pair)):
            is_free = runs[j] is None and self._live[i] not in runs
            if is_free and cosines[i, j] >= needed[i][1]:
                runs[j] = self._live[i]
        return runs

    def _end(self, gone: Sequence[_Live], embed: Embed) -> None:
        """Close runs at the frame before, with an embedding of their last face."""
        late = [one for one in gone if one.run.last - one.embedded >= MIN_AGE]
        if late:
            seen = Seen(self._frame, [one.face for one in late], embed)
            for i, looks in seen.looks(range(len(late))).items():
                late[i].run.looks += looks
        self._gone += [(one.run.number, one.run.last, one.face.box) for one in gone]
        self.ended += [one.run for one in gone]

    def _begin(self, number: int, face: Face, patch: np.ndarray, looks: Looks) -> _Live:
        near = [
            run for run, _, box in self._gone if overlaps(face.box, box[None])[0] >= NEAR_OVERLAP
        ]
        run = Run(self._num_runs, number, number, looks)
        run.after = near[0] if len(near) == 1 else None
        self._num_runs += 1
        return _Live(run, face, patch, number)
