"""The values that travel through the swap path: small, frozen, without behaviour of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from simswap.errors import OptionError

if TYPE_CHECKING:  # `python -m simswap --help` need not wait for it
    import numpy as np

KEEPABLE = ("glasses", "mouth")  # parts of a face that can stay the target's
FaceChoice = Literal["all", "largest"] | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Face:
    """One detection in a frame.

    box: [4] float32 xyxy in frame pixels, may reach outside the frame.
    landmarks: [5, 2] float32 (x, y) in frame pixels: left eye, right eye, nose, left and right
        mouth corner, left and right as the viewer of an upright head sees them.
    score: detection confidence in [0, 1].
    track: the number of its person in a video or stream, where people are told apart there.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    track: int | None = None

    @property
    def area(self) -> float:
        """Box area in square pixels."""
        x0, y0, x1, y1 = self.box
        return float(max(x1 - x0, 0) * max(y1 - y0, 0))


@dataclass(frozen=True, eq=False)
class Identity:
    """Who the source is: a [512] float32 unit-norm embedding, the mean over `num_photos` photos.

    notices: what the caller should know, e.g. that a source photo showed several faces.
    """

    embedding: np.ndarray
    num_photos: int = 1
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """A person of a video: one number from the first to the last frame, whoever else is there.

    number: counts from 0, in the order of `area`.
    area: of the person's faces, in square pixels, summed over the frames: the largest has number 0.
    num_frames: in which the person was seen. first, last: the first and last of them.
    best_frame, best_box: where the face is largest, and its [4] box xyxy there.
    """

    number: int
    area: float
    num_frames: int
    first: int
    last: int
    best_frame: int
    best_box: tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Assignment:
    """`identity` goes to one person of the target, the others stay as they are.

    Who it is, say either `reference`, a photo's identity; or `number`: a face of a photo, largest
    first, or a person of a video, see FaceTrack. Raises OptionError unless one of them is given.
    """

    identity: Identity
    reference: Identity | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        if (self.reference is None) == (self.number is None):
            raise OptionError("An Assignment takes either a reference or a number.")
        if self.number is not None and not (isinstance(self.number, int) and self.number >= 0):
            raise OptionError(f"number={self.number!r} of an Assignment must be 0 or more.")


Source = Identity | Sequence[Assignment]


MOST_LIKENESS = 1.5


@dataclass(frozen=True)
class SwapOptions:
    """How to swap; the defaults suit a photo of a few people.

    Raises OptionError for a value outside its range.
    """

    # Or numbers: of a photo's faces in detect()'s order, largest first; of a video's people, in the
    # order of their face area over the film, which "largest" means there too.
    faces: FaceChoice = "all"
    min_score: float = 0.7  # detections below this confidence are ignored, in (0, 1)
    min_face: float = 16.0  # px; faces whose box is narrower are left alone
    likeness: float = 1.0  # to the source: 0: the target's own identity; above 1: see `once_more`
    mask_softness: float = 0.08  # width of the mask's soft border, as a share of the crop's side
    match_colour: bool = True  # pull the swapped face's light and colour to the target's
    occlusion_mask: bool = True  # hair, hands and things before the face stay the target's
    keep: tuple[str, ...] = ()  # more that stays the target's, of KEEPABLE
    match_light: bool = True  # light within the target's; of its eyes and forehead some detail
    watermark: bool = True  # write the watermark; for measurements to leave out, not for visitors
    label: bool = False  # write the visible label on swapped frames

    def __post_init__(self) -> None:
        if isinstance(self.faces, str):
            if self.faces not in ("all", "largest"):
                raise OptionError(
                    f"faces={self.faces!r} is not known. Use 'all', 'largest', or face numbers."
                )
        elif not all(isinstance(i, int) and i >= 0 for i in self.faces):
            raise OptionError(f"faces={self.faces!r}: face numbers count from 0, largest first.")
        if not isinstance(self.keep, tuple) or not set(self.keep) <= set(KEEPABLE):
            raise OptionError(
                f"keep={self.keep!r:.80} is not known. Use any of: {', '.join(KEEPABLE)}."
            )
        for name, low, high in (
            ("min_score", 0.0, 1.0),
            ("min_face", 0.0, 10_000.0),
            ("likeness", 0.0, MOST_LIKENESS),
            ("mask_softness", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"{name}={value} is outside {low:g} to {high:g}.")

    @property
    def once_more(self) -> float:
        """How far a face goes on to what it is when it is swapped a second time: 0 to 1.

        More of the source's features come that way, less of the target's expression stays, and the
        generator takes twice the time.
        """
        return max(self.likeness - 1, 0.0) / (MOST_LIKENESS - 1)


def parse_faces(text: str) -> FaceChoice:
    """A choice of faces as people type it: 'all', 'largest', numbers such as '0,2', '' for none.

    Raises OptionError for anything else.
    """
    if not text.strip():
        return ()
    if text in ("all", "largest"):
        return text
    if re.fullmatch(r"\s*[0-9]{1,4}\s*(,\s*[0-9]{1,4}\s*)*", text):
        return tuple(int(number) for number in text.split(","))
    raise OptionError(f"faces={text!r} is not known. Use all, largest, or numbers such as 0,2.")


def parse_keep(text: str) -> tuple[str, ...]:
    """What stays the target's as people type it: 'glasses', 'glasses,mouth', '' for nothing more.

    Raises OptionError for anything else.
    """
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    return SwapOptions(keep=names).keep


@dataclass(frozen=True, eq=False)
class SwapResult:
    """A swapped frame.

    image: [H, W, 3] uint8 RGB, the target's size.
    faces: every face found in the target, largest first.
    swapped: indices into `faces` of those that carry a new identity.
    marked: those of them that carry the watermark, for which the others are too small.
    notices: what the caller should know, in plain words.
    """

    image: np.ndarray
    faces: tuple[Face, ...]
    swapped: tuple[int, ...]
    notices: tuple[str, ...] = field(default=())
    marked: tuple[int, ...] = field(default=())
