"""What a run is: one frozen dataclass, filled from defaults, a JSON file and the command line."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from simswap.models.generator import GeneratorConfig


@dataclass(frozen=True)
class Ramp:
    """A weight that holds `start` until `from_step`, then moves linearly to `end` at `to_step`."""

    start: float
    end: float
    from_step: int
    to_step: int

    def __post_init__(self) -> None:
        if self.to_step < self.from_step:
            raise ValueError(f"to_step={self.to_step} lies before from_step={self.from_step}.")

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
    """Generator loss weights.

    Identity first, then balance: measured, a high identity weight learns the swap in a few
    thousand steps but keeps dark eyes and ripples; lowering it afterwards keeps the identity and
    cleans the pictures.
    """

    identity: Ramp = Ramp(20.0, 14.0, 3250, 4000)  # times 1 - cosine similarity
    reconstruction: Ramp = Ramp(30.0, 50.0, 3250, 4000)  # L1 on [0, 1], same-identity batches only
    low_frequency: float = 60.0  # L1 on [0, 1], averaged over cells; keeps light and colour
    weak_feature_matching: float = 20.0  # L1 on the discriminators' deep layers
    adversarial: float = 2.0  # hinge


@dataclass(frozen=True)
class TrainConfig:
    """One generator run; the defaults are the recipe of the bundled model."""

    data: str = "../shared/data/faces"  # folder of parquet shards
    identity_model: str = "assets/models/simswap-lite-128"  # bundle whose identity network is used
    teachers: tuple[str, ...] = (  # TorchScript, [B, 3, 112, 112] RGB [0, 1] -> embedding
        "../shared/data/models/edgeface_xs.pt",
        "../shared/data/models/mobilefacenet_ms1m.pt",
    )
    output: str = "runs/lite-128"  # states, sample grids, the exported bundle's generator
    cache: str = "runs/cache"  # aligned crops and embeddings, made once (about 2.5 GB)

    generator: GeneratorConfig = field(
        default_factory=lambda: GeneratorConfig(
            channels=(24, 48, 96, 192), num_blocks=4, embedding_scale=512**0.5
        )
    )
    crop_template: str = "simswap_frontal"
    crop_size: int = 128  # px
    crop_margin: int = 6  # px kept around the crop, so that a crop can be shifted

    num_steps: int = 6100  # one same- or different-identity batch each
    batch_size: int = 16
    learning_rate: float = 4e-4
    final_learning_rate: float = 4e-5
    decay_from: float = 0.6  # share of the run after which the rate falls (cosine)
    adam_betas: tuple[float, float] = (0.0, 0.99)
    ema_decay: float = 0.999
    discriminator_width: int = 32
    discriminator_from: int = 2200  # step; before it the generator learns identity and pixels
    low_frequency_cell: int = 8  # px of a cell's side
    feature_matching_from: int = 2  # first discriminator layer compared (of 4, counted from 0)
    weights: LossWeights = LossWeights()

    mixed_precision: str = "bf16"  # no, bf16, fp16
    num_threads: int = 0  # CPU threads, 0: as torch decides
    seed: int = 0
    log_every: int = 25  # steps
    sample_every: int = 250  # steps
    save_every: int = 250  # steps
    resume: bool = False  # continue from output/state.pt

    def __post_init__(self) -> None:
        for name in ("num_steps", "batch_size", "log_every", "sample_every", "save_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if not self.teachers:
            raise ValueError("teachers is empty: the identity loss needs at least one network.")
        if self.crop_size % 2**self.generator.num_halvings:
            raise ValueError(
                f"crop_size={self.crop_size} must be a multiple of "
                f"{2**self.generator.num_halvings} for this generator."
            )

    def to_json(self) -> str:
        """The whole configuration, readable, for the run's folder."""
        return json.dumps(asdict(self), indent=2)


def parse_config(arguments: list[str] | None = None) -> TrainConfig:
    """Defaults, then one flag for each plain field: `--batch-size 8 --output runs/try`."""
    parser = argparse.ArgumentParser(description="Train a SimSwap generator.")
    defaults = TrainConfig()
    for item in fields(TrainConfig):
        value = getattr(defaults, item.name)
        flag = "--" + item.name.replace("_", "-")
        if isinstance(value, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=value)
        elif isinstance(value, str | int | float):
            parser.add_argument(flag, type=type(value), default=value, help=f"default {value}")
    chosen = vars(parser.parse_args(arguments))
    chosen["data"] = str(Path(chosen["data"]))
    return TrainConfig(**chosen)
