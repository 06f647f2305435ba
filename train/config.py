"""What a run is: one frozen dataclass, filled in by a preset or TOML file and the command line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Literal

from simswap.geometry import TEMPLATES, template_names
from simswap.models.generator import GeneratorConfig
from simswap.weights.bundle import Alignment
from train.data.sources import split_at_commas
from train.errors import TrainingError
from train.loss_weights import LossWeights
from train.pairing.augmentation import Augmentation

AT_LEAST_ONE = (
    "num_steps",
    "batch_size",
    "accumulation",
    "block_rows",
    "mix_shards",
    "photos_per_person",
    "same_every",
    "identity_exponent",
    "low_frequency_cell",
    "log_every",
    "sample_every",
    "save_every",
    "keep_checkpoints",
)
SHARES = ("decay_from", "ema_decay", "min_coverage", "swapped_back", "pasted")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of the PatchGAN discriminators, or a projected one of which only the width is set."""

    backbone: str = ""  # TorchScript of four feature maps, for a projected one (networks/projected)
    width: int = 32  # channels of the first layer
    num_scales: int = 2  # full resolution, half, ...
    num_halvings: int = 3  # layers of stride 2; patches of 54 px, with the release's settings 142
    last_kernel: int = 3  # px, of the two layers without stride; the release: 4
    batch_norm: bool = False  # after all layers but the first and the last, as the release has it
    spectral_norm: bool = False  # with it their loss hardly left 2 in 300 steps

    def __post_init__(self) -> None:
        if min(self.width, self.num_scales, self.num_halvings, self.last_kernel) < 1:
            raise TrainingError(f"{self}: its numbers must be at least 1.")

    @property
    def num_layers(self) -> int:
        """Layers with features; the logits are none."""
        return 4 if self.backbone else self.num_halvings + 1

    @property
    def smallest_crop(self) -> int:
        """Side, px, of which the last layers of the last scale still see a whole kernel."""
        if self.backbone:
            return 128
        last = max(2 * self.last_kernel - 5, 1)
        return last * 2 ** (self.num_halvings + self.num_scales - 1)


@dataclass(frozen=True, kw_only=True)
class PairSettings:
    """The part of a run's configuration that pairs depend on (train/pairing)."""

    crop_template: str = "simswap_frontal"  # where eyes, nose and mouth lie in a crop
    identity_template: str = "arcface"  # the same of the identity networks' crops
    crop_size: int = 128  # px
    batch_size: int = 16  # pairs of each process and forward pass
    block_rows: int = 4096  # rows shuffled and paired together, held encoded in memory
    mix_shards: int = 4  # shards that a block is drawn from
    photos_per_person: int = 60  # as sources; further photos of one person do not add to the chance
    min_coverage: float = 0.97  # share of a target's crop inside its photo; else a source only
    seed: int = 0  # of pairs, weights and all other chance
    augmentation: Augmentation = field(default_factory=Augmentation)
    data_weights: tuple[float, ...] = ()  # data is several sets, at commas: shares of the targets
    source_weights: tuple[float, ...] = ()  # shares of the sources; none: as of the targets
    pasted: float = 0.0  # share of same-identity targets with another's lower face pasted in first


@dataclass(frozen=True, kw_only=True)
class TrainConfig(PairSettings):
    """One generator run; the defaults are the recipe of the bundled model's first 33,900 steps.

    The comment behind a field is its text in `--help`.
    """

    # Data (train/data reads it, train/pairing pairs it)

    data: str  # Hub id, folder, shards (local, http, hf://), or "examples"
    split: str = "train"  # of a Hub data set
    revision: str = ""  # of a Hub data set: branch, tag or commit; none: its newest
    image_column: str = "image"  # a dotted path reaches into a webdataset's json: "json.identity"
    identity_column: str = "identity"  # none in the data: each photo is its own identity
    landmarks_column: str = "landmarks"  # 5 x (x, y), pixels of the image
    same_every: int = 8  # one step in so many has pairs of one person each; the paper: 2
    swapped_back: float = 0.0  # share of those pairs whose target is first swapped to somebody else
    swapped_back_length: float = 1.25  # of their embeddings: more is to be undone than is done
    num_workers: int = 0  # processes that decode and align; 0: the training process itself
    cache_photos: bool = False  # align each once and hold all on the device, for fast GPUs

    # Networks

    # "bundled" is the identity network of the model in assets/. TorchScript files are programs.
    teachers: tuple[str, ...]  # bundles, ArcFace ONNX, or TorchScript [B, 3, 112, 112] -> [B, E]
    identity_model: str = "bundled"  # or another bundle, or an ArcFace ONNX file
    glasses: str = ""  # file of train/prepare/glasses.py: targets keep theirs; none: the source's
    glasses_emphasis: float = 3.0  # 1: as the target reads; measured, half of them still fade then
    generator: GeneratorConfig = field(
        default_factory=lambda: GeneratorConfig(
            channels=(24, 48, 96, 192),
            num_blocks=8,
            embedding_scale=512**0.5,
            identity_guidance=1.0,
            gated_skips=True,
            decoder_styles=True,
            decoder_blocks=True,
            soft_mask=True,
        )
    )
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    init_from: str = ""  # bundle to start from: its weights, and what they were made for
    freeze: tuple[str, ...] = ()  # patterns of generator parameters that stay: "down*,first_layer*"

    # Schedule

    num_steps: int = 33900  # optimiser steps, each on same- or different-identity pairs
    accumulation: int = 1  # forward passes of one step
    learning_rate: float = 4e-4  # of the generator's Adam
    warmup_steps: int = 0  # over which all rates rise from near 0
    final_learning_rate: float = 1e-5  # after the last step
    discriminator_rate: float = 4.0  # times these: their part of a picture, the face, is small
    decay_from: float = 0.6  # share of the run after which the rate falls (cosine)
    adam_betas: tuple[float, ...] = (0.0, 0.99)  # of all optimisers
    max_grad_norm: float = 50.0  # of the generator; far above the usual norm, against outliers
    ema_decay: float = 0.999  # of the generator's moving average, which is what is published
    generator_from: int = 0  # step; before it only discriminators learn, what init_from swaps
    discriminator_from: int = 2200  # step; before it the generator learns identity and pixels
    freeze_batch_norms_from: int = 2200  # step; their statistics betray a batch's kind
    low_frequency_cell: int = 8  # px of a side; the bundled model ended with 32, room for shading
    identity_exponent: float = 1.0  # above 1, pairs that lack likeness weigh more; the paper: 1
    feature_matching_layers: tuple[int, ...] = (2, 3)  # from 0; the paper's weak: the last ones
    weights: LossWeights = field(default_factory=LossWeights)

    # Speed

    mixed_precision: Literal["auto", "no", "bf16", "fp16"] = "auto"  # auto: bf16 where it is fast
    channels_last: bool = True  # memory layout of the convolutions
    compile: bool = False  # torch.compile of the generator
    gradient_checkpointing: bool = False  # identity blocks are computed twice, and not stored
    num_threads: int = 0  # CPU threads, 0: as torch decides

    # What is written, and when

    output: str = "runs/lite-128"  # checkpoints, samples, logs, and the bundle
    name: str = "simswap-lite-128"  # the bundle's
    licence: str = "Research use only."  # of the weights, into the bundle; depends on the data
    log_with: str = "tensorboard"  # any of Accelerate's trackers, "all", or "none"
    log_every: int = 25  # steps between two lines of scalars
    sample_every: int = 250  # steps between two grids of samples
    save_every: int = 250  # steps between two checkpoints
    keep_checkpoints: int = 3  # how many, the newest
    resume: str = ""  # "latest" (also without a value), or a checkpoint's folder

    # Evaluation while training (train/evaluate)

    eval_data: str = ""  # folder with photos.csv, pairs.csv and photos/; none: no evaluation
    judge: str = ""  # TorchScript recognition network that is no teacher
    evaluate_every: int = 2000  # steps between two evaluations
    eval_pairs: int = 60  # the first ones of pairs.csv

    # Hub

    push_to_hub: bool = False  # send the bundle to a Hub repository while training
    hub_model_id: str = ""  # its repository, "user/name"
    hub_private: bool = False  # make a new repository private
    push_every: int = 2000  # steps between two pushes, each of the bundle of the last checkpoint

    def __post_init__(self) -> None:
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise TrainingError(f"{name}={getattr(self, name)} must be at least 1.")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name}={getattr(self, name)} must lie in [0, 1].")
        for name in ("learning_rate", "discriminator_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise TrainingError(f"{name}={getattr(self, name)} must be above 0.")
        if self.glasses_emphasis < 0:
            raise TrainingError(f"glasses_emphasis={self.glasses_emphasis} must be at least 0.")
        if not self.teachers:
            raise TrainingError("teachers is empty: the identity loss needs at least one network.")
        self._check_templates()
        multiple = 2**self.generator.num_halvings
        if self.crop_size < 1 or self.crop_size % multiple:
            raise TrainingError(
                f"crop_size={self.crop_size} must be a multiple of {multiple} for this generator."
            )
        layers, count = self.feature_matching_layers, self.discriminator.num_layers
        if not layers or not 0 <= min(layers) <= max(layers) < count:
            raise TrainingError(
                f"feature_matching_layers={layers}: the discriminators have layers 0 to "
                f"{count - 1}; name at least one. For none, set weights.feature_matching to 0."
            )
        if self.crop_size < self.discriminator.smallest_crop:
            raise TrainingError(
                f"crop_size={self.crop_size} is too small for these discriminators, which need "
                f"{self.discriminator.smallest_crop}: take fewer discriminator.num_halvings."
            )
        if len(self.adam_betas) != 2:
            raise TrainingError(f"adam_betas={self.adam_betas} must be two numbers.")
        self._check_what_needs_another()

    def _check_what_needs_another(self) -> None:
        self._check_mixture()
        if self.discriminator.backbone and self.weights.gradient_penalty:
            raise TrainingError(
                "discriminator.backbone knows no weights.gradient_penalty: set that to 0, as the "
                "released trainer does."
            )
        if self.push_to_hub and not self.hub_model_id:
            raise TrainingError("push_to_hub needs --hub-model-id user/name.")
        if self.generator_from and self.discriminator_from:
            raise TrainingError(
                f"generator_from={self.generator_from}: until then only discriminators learn, so "
                "discriminator_from must be 0."
            )
        if self.eval_data and not self.judge:
            raise TrainingError("eval_data needs --judge, a recognition network no loss has seen.")

    def _check_templates(self) -> None:
        for name in ("crop_template", "identity_template"):
            if getattr(self, name) not in template_names():
                raise TrainingError(
                    f"{name}={getattr(self, name)!r}: use one of {template_names()}."
                )
        both = self.crop_template, self.identity_template
        if both[0] != both[1] and not set(both) <= set(TEMPLATES):
            raise TrainingError(
                f"crop_template={both[0]}, identity_template={both[1]}: one of several poses "
                "serves for both crops or for none."
            )

    def _check_mixture(self) -> None:
        count = len(split_at_commas(self.data))
        for name in ("data_weights", "source_weights"):
            weights = getattr(self, name)
            if weights and (len(weights) != count or min(weights) < 0 or sum(weights) == 0):
                raise TrainingError(
                    f"{name}={weights}: give one weight for each of the {count} data sets in "
                    f"data={self.data!r}, none below 0, and one at least above."
                )
        if self.source_weights and not self.data_weights:
            raise TrainingError("source_weights needs --data-weights, which splits data at commas.")
        if self.swapped_back + self.pasted > 1:
            raise TrainingError(
                f"swapped_back={self.swapped_back} and pasted={self.pasted} are shares of the same "
                "pairs: together at most 1."
            )
        if self.cache_photos and self.pasted:
            raise TrainingError("cache_photos knows no pasted: leave one of them out.")
        if self.cache_photos and (self.data_weights or self.augmentation.changes_pictures):
            raise TrainingError(
                "cache_photos knows neither data_weights nor changes of exposure, contrast and the "
                "like: leave one of them out."
            )

    @property
    def alignment(self) -> Alignment:
        """As a bundle has it."""
        return Alignment(self.crop_template, self.crop_size, self.identity_template)

    def to_json(self) -> str:
        """The whole configuration, readable, for the run's folder."""
        return json.dumps(asdict(self), indent=2) + "\n"


def describe_change(name: str, before: object, after: object) -> str:
    """What changed between two values of a setting, which may be tables."""
    if not isinstance(after, dict) or not isinstance(before, dict):
        return f"{name} {before} -> {after}"
    changed = (key for key in after if after[key] != before.get(key))
    return ", ".join(describe_change(f"{name}.{k}", before.get(k), after[k]) for k in changed)
