"""From measurements of videos to the figures of their evaluation table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from train.evaluate.figures import (
    SwapFigures,
    figures_of,
    format_number,
    format_percent,
    pair_figures,
)
from train.evaluate.judges import FEATURE_SPACE
from train.evaluate.measurements import merge_measurements
from train.evaluate.videos.measuring import Looks, VideoMeasurements
from train.evaluate.videos.steadiness import Unsteadiness

RATIOS = ("jumps", "flicker", "change")  # of a result to its target
COLUMNS = (
    "faces",
    "ID retrieval",
    "cosine to source",
    "to target",
    "pose error (°)",
    "expression error (%)",
    "by 3DDFA",
    "Fréchet",
    *RATIOS,
    "no result",
)
TABLE_HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class VideoFigures:
    """Of all videos of one system; NaN where nothing was measured."""

    frames: SwapFigures
    unsteadiness: Unsteadiness
    num_videos: int
    num_faceless: int  # frames looked at in which the target shows no face: judged are the others
    missing: float  # share of videos without a result; their targets count in its place

    @classmethod
    def of(cls, videos: Sequence[VideoMeasurements]) -> VideoFigures:
        """Raises ValueError for no video."""
        return cls(
            figures_of(merge_measurements([video.frames for video in videos])),
            Unsteadiness.of([track for video in videos for track in video.tracks]),
            len(videos),
            sum(video.num_faceless for video in videos),
            float(np.mean([video.is_missing for video in videos])),
        )

    def steadiness(self) -> dict[str, float]:
        """Jumps, flicker and change, as ratios to the target's own."""
        return {name: self.unsteadiness.ratio(name) for name in RATIOS}

    def to_json(self) -> dict[str, float | int | None]:
        """Every figure; None where nothing was measured."""
        of_frames = {
            name: value
            for name, value in self.frames.to_json().items()
            if name not in ("num_pairs", "self_l1", "self_psnr", "missed")
        }
        ratios = {
            name: value if np.isfinite(value) else None for name, value in self.steadiness().items()
        }
        counts = {
            "num_videos": self.num_videos,
            "num_frames": self.frames.num_pairs,
            "num_faceless": self.num_faceless,
            "missing": self.missing,
        }
        return {**counts, **of_frames, **ratios}

    def markdown_row(self, name: str) -> str:
        """A line under TABLE_HEAD."""
        f = self.frames
        cells = (
            name,
            *f.identity_cells(),
            *f.attribute_cells(),
            format_number(f.frechet, 2),
            *(format_number(ratio, 2) for ratio in self.steadiness().values()),
            format_percent(self.missing),
        )
        return f"| {' | '.join(cells)} |"


def to_markdown(figures: Mapping[str, VideoFigures], looks: Looks, notes: Sequence[str]) -> str:
    """The table, and below it what its reader needs to know."""
    one = next(iter(figures.values()))
    lines = [
        f"{one.num_videos} videos, {looks.frames} frames of each, evenly spread; in "
        f"{one.num_faceless} of them the target shows no face. The largest face is judged, at the "
        "target's landmarks.",
        "ID retrieval: share of frames whose nearest of all sources' frames shows the right "
        "person. Expression errors and pose are those between a frame and the target's.",
        f"Fréchet (not FID: no Inception): distance from results to frames of other videos, in the "
        f"space of {FEATURE_SPACE}; two halves of the targets are "
        f"{format_number(one.frames.frechet_real, 2)} apart.",
        f"Jumps of landmarks, flicker of colour, change of the picture: over {looks.run} frames in "
        "a row, as ratios to the target's own; 1 is as steady as the target.",
        *notes,
    ]
    rows = [of_system.markdown_row(name) for name, of_system in figures.items()]
    return "\n".join([TABLE_HEAD, *rows, "", *(f"- {line}" for line in lines)])


def figures_by_video(videos: Sequence[VideoMeasurements]) -> list[dict[str, float | int | None]]:
    """The means of each video's frames, in the videos' order; None where nothing was measured."""
    merged = merge_measurements([video.frames for video in videos])
    rows = {row.pop("number"): row for row in pair_figures(merged)}
    found = []
    for video in videos:
        of_video = [rows[int(number)] for number in video.frames.numbers]
        names = [name for name in of_video[0] if name != "self_psnr"]
        means = {name: _mean([row[name] for row in of_video]) for name in names}
        steadiness = Unsteadiness.of(video.tracks)
        ratios = {name: steadiness.ratio(name) for name in RATIOS}
        found.append({**means, **{n: v if np.isfinite(v) else None for n, v in ratios.items()}})
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    measured = [value for value in values if value is not None]
    return float(np.mean(measured)) if measured else None
