"""What a visitor chooses, on the page or by an endpoint's arguments: one value, by name."""

from __future__ import annotations

from dataclasses import dataclass

from simswap import OptionError, SwapOptions, VideoOptions
from simswap.demo.services import video_limits
from simswap.demo.settings import is_public
from simswap.types import KEEPABLE, parse_faces, parse_keep

DEFAULTS, VIDEO_DEFAULTS = SwapOptions(), VideoOptions()
KEPT = ("", *KEEPABLE, ",".join(KEEPABLE))  # what `keep` may say


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a photo is swapped; see SwapOptions.

    faces: 'all', 'largest', or face numbers such as '0,2'. keep: one of KEPT. format: 'png' or
    'jpeg'. model: a name; None is the default model.
    """

    faces: str = "all"
    format: str = "png"
    likeness: float = DEFAULTS.likeness
    match_colour: bool = DEFAULTS.match_colour
    mask_softness: float = DEFAULTS.mask_softness
    keep: str = ""
    occlusion_mask: bool = DEFAULTS.occlusion_mask
    model: str | None = None

    def swap_options(self) -> SwapOptions:
        """Which faces, and how; strangers' results are labelled visibly.

        Raises OptionError for a value that cannot be.
        """
        return SwapOptions(
            faces=parse_faces(self.faces),
            likeness=self.likeness,
            match_colour=self.match_colour,
            mask_softness=self.mask_softness,
            keep=parse_keep(self.keep),
            occlusion_mask=self.occlusion_mask,
            label=is_public(),
        )


@dataclass(frozen=True, kw_only=True)
class VideoChoices(Choices):
    """How a video is swapped; see VideoOptions.

    format: one of writing.FORMATS. start, end: seconds; None is the video's end.
    """

    format: str = "mp4"
    start: float = 0.0
    end: float | None = None
    crf: int | None = None
    detect_every: int = VIDEO_DEFAULTS.detect_every

    def video_options(self) -> VideoOptions:
        """Which part, and how it is written. Raises OptionError for a value that cannot be."""
        for name in ("crf", "detect_every"):
            value = getattr(self, name)
            if value is not None and value != int(value):
                raise OptionError(f"{name} is {value}; give a whole number.")
        return VideoOptions(
            start=self.start,
            end=self.end,
            format=self.format,
            crf=None if self.crf is None else int(self.crf),
            keep_hdr=False,  # which few browsers play
            detect_every=int(self.detect_every),
            limits=video_limits.LIMITS,
        )
