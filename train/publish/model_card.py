"""The model card of a bundle: its README.md, with the header that the Hub reads.

Facts are given, none are invented: what a run does not know of itself is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment
from torch import nn

from simswap.models.facial_hair import FacialHair
from simswap.models.generator import Generator
from simswap.models.identity import IdentityConfig
from simswap.models.inference import count_macs
from simswap.models.parser import CLASSES, FaceParser
from simswap.models.parser import INPUT_SIZE as PARSED_SIZE
from simswap.weights.bundle import OPTIONAL_FILES, WEIGHT_FILES, Bundle
from train.loss_weights import Ramp
from train.publish.licences import licence_fields

SAMPLES_FILE = "samples.png"
IDENTITY_CROP_SIZE = 112  # px, what identity networks scale their crops to
TEMPLATE = Path(__file__).with_name("card.md")
TAGS = ("face-swapping", "simswap")
FIGURES = {"id_retrieval": "ID retrieval", "id_cosine": "cosine to the source"}  # of model-index


@dataclass(frozen=True)
class NetworkFacts:
    """One network of a bundle."""

    file: str
    what: str  # its kind and sizes, in a few words
    num_parameters: int
    gmac: float | None = None  # 1e9 multiply-adds for one crop


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells; a field left at its default is a fact that the card leaves out."""

    name: str
    licence: str  # of the weights, in a sentence or more
    networks: tuple[NetworkFacts, ...]
    crop_size: int  # px, side of the generator's crops
    repo_id: str = ""  # "user/name", where the card will lie
    data: str = ""  # what the data sets are called
    dataset_ids: tuple[str, ...] = ()  # data sets on the Hub, "user/name"
    num_steps: int | None = None
    num_images: int | None = None  # pairs seen, over all processes
    losses: Mapping[str, object] = field(default_factory=dict)  # name: number, Ramp or its dict
    teachers: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)  # of the training, by name
    evaluation: str = ""  # Markdown
    evaluated_on: str = ""  # what the evaluation set is called
    figures: Mapping[str, float] = field(default_factory=dict)  # eval/id_cosine, ...
    has_samples: bool = False  # samples.png lies beside the card
    limits: tuple[str, ...] = ()  # a sentence each


def model_card(facts: CardFacts) -> str:
    """The Markdown text of a bundle's README.md, header included: card.md, filled in."""
    page = Environment(trim_blocks=True, keep_trailing_newline=True)
    page.filters |= {"cell": _cell, "count": _count, "gmac": _gmac_cell}
    losses = {name.replace("_", " "): _weight(weight) for name, weight in facts.losses.items()}
    text = page.from_string(TEMPLATE.read_text("utf-8")).render(
        facts=facts,
        samples_file=SAMPLES_FILE,
        training=_training(facts),
        losses={name: weight for name, weight in losses.items() if weight != "0"},
    )
    return f"---\n{_header(facts).to_yaml()}\n---\n{text}"


def describe_networks(
    generator: Generator, base: Bundle, crop_size: int
) -> tuple[NetworkFacts, ...]:
    """Kind, parameters and cost of a generator and of the other networks of `base`.

    crop_size: px, side of the generator's crops. The detector's cost depends on the photo's size.
    """
    config, identity, detector = generator.config, base.config.identity, base.config.detector
    crops = torch.empty(1, 3, crop_size, crop_size, device="meta")
    embeddings = torch.empty(1, config.embedding_size, device="meta")
    identity_crops = torch.empty(1, 3, IDENTITY_CROP_SIZE, IDENTITY_CROP_SIZE, device="meta")
    return (
        NetworkFacts(
            WEIGHT_FILES["generator"],
            f"SimSwap generator, {crop_size} px crops, {config.channels[0]} base channels, "
            f"{config.num_blocks} identity blocks"
            + ", gated skips" * config.gated_skips
            + ", decoder styles" * config.decoder_styles
            + ", decoder blocks" * config.decoder_blocks
            + ", soft mask" * config.soft_mask,
            _num_parameters(generator),
            count_macs(generator, crops, embeddings) / 1e9,
        ),
        NetworkFacts(
            WEIGHT_FILES["identity"],
            f"{_kind_of(identity)}, {identity.embedding_size} numbers a face",
            _num_parameters(base.identity_network),
            count_macs(base.identity_network, identity_crops) / 1e9,
        ),
        NetworkFacts(
            WEIGHT_FILES["detector"],
            f"anchor-free face detector, {detector.channels[0]} to {max(detector.channels)} "
            "channels",
            _num_parameters(base.detector),
        ),
        *_of_parser(base.parser),
        *_of_facial_hair(base.facial_hair),
    )


def _of_facial_hair(hair: FacialHair | None) -> tuple[NetworkFacts, ...]:
    if hair is None:
        return ()
    kind = "a direction of the identity network's embeddings: facial hair stays the target's"
    return (
        NetworkFacts(OPTIONAL_FILES["facial_hair"], kind, sum(map(torch.numel, hair.buffers()))),
    )


def _of_parser(parser: FaceParser | None) -> tuple[NetworkFacts, ...]:
    if parser is None:
        return ()
    crops = torch.empty(1, 3, PARSED_SIZE, PARSED_SIZE, device="meta")
    kind = f"face parser, {len(CLASSES)} classes: what covers a face stays the target's"
    return (
        NetworkFacts(
            OPTIONAL_FILES["parser"], kind, _num_parameters(parser), count_macs(parser, crops) / 1e9
        ),
    )


def _header(facts: CardFacts) -> ModelCardData:
    results = [
        EvalResult(
            task_type="image-to-image",
            dataset_type="custom",
            dataset_name=facts.evaluated_on,
            metric_type=name,
            metric_name=FIGURES[name],
            metric_value=round(facts.figures[f"eval/{name}"], 4),
        )
        for name in FIGURES
        if f"eval/{name}" in facts.figures
    ]
    return ModelCardData(
        **licence_fields(facts.licence),
        library_name="simswap",
        pipeline_tag="image-to-image",
        tags=list(TAGS),
        datasets=list(facts.dataset_ids) or None,
        model_name=facts.name if results else None,
        eval_results=results or None,
    )


def _training(facts: CardFacts) -> list[str]:
    """What training drew on, a line each."""
    counts = {
        "Steps": facts.num_steps,
        "Pairs of photos seen": facts.num_images,
    }
    lines = [f"Data: {facts.data}"] if facts.data else []
    lines += [f"{what}: {count:,}" for what, count in counts.items() if count is not None]
    if facts.teachers:
        lines.append(f"Teachers of the identity loss: {', '.join(facts.teachers)}")
    return lines + [f"{name}: {value}" for name, value in facts.settings.items()]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _count(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number / 1e3:.0f} k"


def _gmac_cell(gmac: float | None) -> str:
    return "" if gmac is None else f"{gmac:.2g}"


def _weight(weight: object) -> str:
    """A number, or a ramp (a Ramp or its dict), in words."""
    ramp = Ramp(**weight) if isinstance(weight, Mapping) else weight
    if not isinstance(ramp, Ramp):
        return f"{ramp:g}"
    if ramp.start == ramp.end:
        return f"{ramp.start:g}"
    return (
        f"{ramp.start:g} until step {ramp.from_step:,}, then to {ramp.end:g} at step "
        f"{ramp.to_step:,}"
    )


def _kind_of(identity: IdentityConfig) -> str:
    if identity.architecture == "graph":
        return f"ArcFace from an ONNX file ({len(identity.layers)} layers)"
    return identity.architecture


def _num_parameters(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())
