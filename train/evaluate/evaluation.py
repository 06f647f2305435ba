"""Swaps of the evaluation pairs through the whole pipeline, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simswap import FaceSwapper, SwapOptions
from train.evaluate.figures import SwapFigures, figures_of, format_number, table
from train.evaluate.judges import FEATURE_SPACE, Judges
from train.evaluate.measurements import Measurements, OnProgress, measure_methods
from train.evaluate.methods import OPTIONS, Method, anchor_methods, swap_method
from train.evaluate.pairs import Pair

SWAPPED = "swapped"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Figures of each row of the table ("swapped" first), and what they were made from."""

    figures: dict[str, SwapFigures]
    measurements: dict[str, Measurements]
    notes: tuple[str, ...] = ()

    @property
    def swapped(self) -> SwapFigures:
        """The model's own figures."""
        return self.figures[SWAPPED]

    def to_markdown(self) -> str:
        """The table, and below it what its reader needs to know."""
        return "\n".join([table(self.figures), "", *(f"- {line}" for line in self._explanation())])

    def _explanation(self) -> list[str]:
        swapped = self.swapped
        lines = [
            f"{swapped.num_pairs} pairs. Targets without a face found count as they are.",
            "Fréchet: distance from results to real crops of other photos, in the space of "
            f"{FEATURE_SPACE}; two halves of the real crops are "
            f"{format_number(swapped.frechet_real, 2)} apart (–: too few pairs).",
            "Self-swap: source = target, inside the paste-back mask, RGB in [0, 1].",
        ]
        return lines + list(self.notes)


def evaluate_swapper(
    swapper: FaceSwapper,
    pairs: Sequence[Pair],
    judges: Judges,
    *,
    options: SwapOptions = OPTIONS,
    full: bool = True,
    others: Mapping[str, Method] | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Swap and judge all pairs in this process.

    Several processes instead call measurements.measure_pairs on `pairs[rank::world]`, and one
    calls figures.figures_of on what measurements.merge_measurements makes of their answers.

    Args:
        swapper: the model in its pipeline.
        pairs: at least one.
        judges: from judges.load_judges, which refuses teachers.
        options: how to swap.
        full: with the anchors "no swap" and "source pasted", which are the same for every model of
            one crop size and detector.
        others: further rows of the table.
        on_progress: called with the pairs done and their number.

    Raises:
        MediaError: a photo cannot be read.
    """
    methods = {SWAPPED: swap_method(swapper, options)} | (anchor_methods(swapper) if full else {})
    methods |= others or {}
    measurements = measure_methods(swapper, methods, pairs, judges, on_progress)
    figures = {name: figures_of(of_method) for name, of_method in measurements.items()}
    return Evaluation(figures, measurements, judges.notes)
