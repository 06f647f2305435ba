"""What each loss of the generator weighs, which may change during a run."""

from __future__ import annotations

from dataclasses import dataclass

from train.errors import TrainingError


@dataclass(frozen=True)
class Ramp:
    """A weight that holds `start` until `from_step`, then moves linearly to `end` at `to_step`."""

    start: float  # weight of the first steps
    end: float  # weight of the last steps
    from_step: int  # last step of `start`
    to_step: int  # first step of `end`

    def __post_init__(self) -> None:
        if self.to_step < self.from_step:
            raise TrainingError(f"to_step={self.to_step} lies before from_step={self.from_step}.")
        if self.to_step == 0 and self.start != self.end:
            raise TrainingError(
                f"A weight of {self.start} would hold for the first step alone and be {self.end} "
                "from then on. For one that stays, give one number: --weights.identity 15; for "
                "one that changes, to_step as well."
            )

    def at(self, step: int) -> float:
        """The weight at `step`."""
        if step <= self.from_step:
            return self.start
        if step >= self.to_step:
            return self.end
        share = (step - self.from_step) / (self.to_step - self.from_step)
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class LossWeights:
    """Generator loss weights, and the discriminators' penalty; the paper's are in simswap-224.toml.

    Identity and reconstruction begin and end as in the bundled model's first 33,900 steps, the
    others are those of their end (EXPERIMENTS.md has the rest): once the skips and the mask work, a
    little reconstruction goes far.
    """

    identity: Ramp = Ramp(20.0, 52.0, 3250, 4000)  # times 1 - cosine similarity
    reconstruction: Ramp = Ramp(30.0, 12.0, 3250, 4000)  # L1 on [0, 1], same-identity batches only
    low_frequency: float = 60.0  # L1 on [0, 1], averaged over cells; ours: keeps light and colour
    colour: float = 0.0  # L1 on [0, 1] of what luma leaves; ours: against fringes
    restraint: float = 0.0  # L2 on [0, 1], all batches; ours: against strokes that nothing asks for
    edges: float = 0.0  # L2 of image gradients, all batches; ours: likeness by shading, not lines
    feature_matching: float = 8.5  # L1 on discriminator features, summed over layers and scales
    adversarial: float = 9.0  # hinge
    gradient_penalty: float = 0.0  # (|gradient| - 1)^2 of each discriminator; the paper: 1e-5
