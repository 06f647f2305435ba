"""Which of the published networks a state dict is: told by its keys and shapes alone.

The 224 network that was published and the one that the official train.py saves have the same keys
and shapes; they differ in the pixels they take, so their user has to say which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from simswap.errors import ModelError, OptionError
from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.identity import IdentityConfig, build_identity_network, ir_se_config_from_state

Maker = Literal["published", "trainer"]
COUNTER = ".num_batches_tracked"  # torch before 0.4.1 did not save these, and inference needs none
PUBLISHED_IDENTITY = IdentityConfig("ir_se", blocks=(3, 4, 23, 3))
MAX_BLOCKS = 200  # of an identity network; the published one has 33


@dataclass(frozen=True)
class Variant:
    """One of the official generators."""

    called: str
    generator: GeneratorConfig
    makers: tuple[Maker, ...]  # whose networks have these keys
    crop_size: int  # px, unless its maker trained it at another


VARIANTS = (
    Variant("the 224 network", GeneratorConfig(), ("published", "trainer"), 224),
    Variant(
        "the published 512 beta",
        GeneratorConfig(channels=(32, 64, 128, 256, 512), first_level=0),
        ("published",),
        512,
    ),
    Variant(
        "the official trainer's deep network",
        GeneratorConfig(channels=(64, 128, 256, 512, 512)),
        ("trainer",),
        512,
    ),
)


@dataclass(frozen=True)
class Recognised:
    """What a generator's state dict was found to be.

    crop_size: px; template: a name that geometry.frame_to_crop_transform takes; notice: what the
    keys could not tell and so was assumed, or "".
    """

    called: str
    generator: GeneratorConfig
    crop_size: int
    template: str
    notice: str = ""


def recognise_generator(
    state: Mapping[str, Tensor], maker: Maker | None = None, size: int | None = None
) -> Recognised:
    """Tell an official generator by its keys and shapes.

    maker: who made it; None takes what the keys tell, and "published" where they fit both.
    size: px, side of its crops; None is the variant's own.

    Raises:
        ModelError: it is none of them; the sentence names every key that does not fit.
        OptionError: maker or size contradict the file.
    """
    variant = min(VARIANTS, key=lambda variant: len(_misfits(state, variant)))
    misfits = _misfits(state, variant)
    if misfits:
        raise ModelError(_describe_misfits(state, variant, misfits))
    notice = ""
    if maker is None:
        maker = variant.makers[0]
        if len(variant.makers) > 1:
            notice = (
                "The published 224 network and the official trainer's have the same keys; this "
                "one is taken for the published. If train.py made it, say --maker trainer."
            )
    if maker not in variant.makers:
        raise OptionError(f"The file holds {variant.called}, but --maker says {maker}.")
    size = variant.crop_size if size is None else size
    if size != variant.crop_size and maker == "published":
        raise OptionError(
            f"The file holds {variant.called}, whose crops are {variant.crop_size} px, but --size "
            f"says {size}. Use --size auto, or --maker trainer if train.py made it at {size} px."
        )
    config = replace(variant.generator, pixel_range="unit" if maker == "published" else "imagenet")
    # As the official code aligns: by one of five poses below 512 px, as FFHQ from there on.
    template = "simswap_224" if size < 512 else "ffhq"
    return Recognised(f"{variant.called} ({maker})", config, size, template, notice)


def recognise_identity(state: Mapping[str, Tensor]) -> IdentityConfig:
    """Config of an official ArcFace network. Raises ModelError naming every key that misfits."""
    config = PUBLISHED_IDENTITY
    try:
        found = ir_se_config_from_state(state)
        if sum(found.blocks) <= MAX_BLOCKS and found.embedding_size == 512:
            config = found
    except (ValueError, IndexError):
        pass  # the published depth then serves to name what is missing
    with torch.device("meta"):
        expected = _shapes(build_identity_network(config).state_dict())
    misfits = _compare(_shapes(state), expected)
    if misfits:
        if _matching(state, expected) == 0:
            raise ModelError(f"is no ArcFace network of the published kind: {_other_kind(state)}")
        raise ModelError(
            f"does not fit the published ArcFace network: {'; '.join(misfits)}. Fetch it again."
        )
    return config


def load_official(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put a recognised state dict into a network; counters that it lacks stay at zero."""
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.endswith(COUNTER) for key in missing)


def _misfits(state: Mapping[str, Tensor], variant: Variant) -> list[str]:
    return _compare(_shapes(state), _generator_shapes(variant.generator))


def _generator_shapes(config: GeneratorConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return _shapes(Generator(config).state_dict())


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _compare(found: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]) -> list[str]:
    """What is wrong with each key, in words."""
    missing = [key for key in expected if key not in found and not key.endswith(COUNTER)]
    unmatched = [key for key in found if key not in expected]
    odd = [key for key in expected if key in found and found[key] != expected[key]]
    return [
        *(f"{key} is missing" for key in missing),
        *(f"{key} matches nothing" for key in unmatched),
        *(f"{key} is {list(found[key])} instead of {list(expected[key])}" for key in odd),
    ]


def _matching(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> int:
    return sum(tuple(value.shape) == expected.get(key) for key, value in state.items())


def _describe_misfits(state: Mapping[str, Tensor], variant: Variant, misfits: list[str]) -> str:
    if _matching(state, _generator_shapes(variant.generator)) == 0:
        return f"is no SimSwap generator: {_other_kind(state)}"
    return f"comes nearest to {variant.called}, but {'; '.join(misfits)}. Fetch it again."


def _other_kind(state: Mapping[str, Tensor]) -> str:
    """What a state dict of which no key fits may be, and what to do."""
    keys = list(state)
    if any(key.startswith("BottleNeck.") for key in keys):
        return "it is a SimSwap generator, which belongs to --generator."
    if {"fc.bias", "layer1.0.bn0.weight"} <= set(keys):
        return "it is an ArcFace network, which belongs to --identity."
    if not keys:
        return "it holds no tensors."
    return (
        f"none of its {len(keys)} tensors fits (the first is {keys[0]!r}). Give the file that "
        "holds this network."
    )
