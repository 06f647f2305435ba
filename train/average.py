"""A mean of several generators' weights, as one model.

    python -m train.average --models runs/a/bundle,runs/b/bundle --weights 0.65,0.35 --output mean

Of stretches of one run the mean is often better than each (train/EXPERIMENTS.md); generators that
were trained apart from the start have nothing in common that a mean would keep.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from simswap.models.generator import Generator
from simswap.weights.bundle import Bundle, load_bundle
from train.errors import TrainingError
from train.evaluate.judge_files import teachers_of
from train.publish.bundle import write_bundle
from train.publish.model_card import CardFacts, describe_networks, model_card
from train.shell import run_from_shell


def average(bundles: Sequence[Bundle], weights: Sequence[float]) -> Generator:
    """The weighted mean of the bundles' generators, batch norms' statistics included.

    weights: one for each bundle, none below 0; their sum does not matter. The first bundle lends
    what is no fractional number. Raises TrainingError if two differ in more than weights.
    """
    first = bundles[0]
    for other in bundles[1:]:
        _check_alike(first, other)
    shares = [weight / sum(weights) for weight in weights]
    states = [bundle.generator.state_dict() for bundle in bundles]
    generator = copy.deepcopy(first.generator).float()
    generator.load_state_dict({name: _mean(name, states, shares) for name in states[0]})
    return generator.eval()


def _mean(name: str, states: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> Tensor:
    if not states[0][name].is_floating_point():
        return states[0][name]
    parts = [share * state[name].double() for share, state in zip(shares, states, strict=True)]
    return torch.stack(parts).sum(0).float()


def _check_alike(first: Bundle, other: Bundle) -> None:
    for what, ours, theirs in (
        ("generator's architecture", first.generator.config, other.generator.config),
        ("alignment", first.config.alignment, other.config.alignment),
        ("identity network", first.config.identity, other.config.identity),
    ):
        if ours != theirs:
            raise TrainingError(
                f"{first.name} and {other.name} differ in the {what}: {ours} and {theirs}. Only "
                "weights of one architecture have a mean."
            )
    if not _same_weights(first.identity_network, other.identity_network):
        raise TrainingError(
            f"{first.name} and {other.name} have identity networks with other weights, so that "
            "their generators understand other embeddings. Average stretches of one run."
        )


def _same_weights(first: nn.Module, other: nn.Module) -> bool:
    ours, theirs = first.state_dict(), other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in ours.items())


def _facts(bundles: Sequence[Bundle], weights: Sequence[float]) -> dict[str, object]:
    """What config.json tells: each part's own facts, and every teacher, so that no judge is one."""
    teachers = [name for bundle in bundles for name in teachers_of(bundle.config.training)]
    return {
        "teachers": list(dict.fromkeys(teachers)),
        "mean_of": [
            {"name": bundle.name, "weight": weight, "training": dict(bundle.config.training)}
            for bundle, weight in zip(bundles, weights, strict=True)
        ],
    }


def _card(
    generator: Generator, name: str, licence: str, bundles: Sequence[Bundle], facts: Mapping
) -> str:
    first = bundles[0]
    size = first.config.alignment.crop_size
    parts = ", ".join(f"{part['name']} ({part['weight']:g})" for part in facts["mean_of"])
    return model_card(
        CardFacts(
            name=name,
            licence=licence,
            networks=describe_networks(generator, first, size),
            crop_size=size,
            teachers=tuple(facts["teachers"]),
            limits=(f"The generator is a mean of the weights of {parts}.",),
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read bundles, write their mean. Raises SimSwapError."""
    parser = argparse.ArgumentParser(
        prog="python -m train.average", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--models", required=True, help="bundles or Hub ids, separated by commas")
    parser.add_argument("--weights", help="one number each, separated by commas (default: equal)")
    parser.add_argument("--output", type=Path, required=True, help="the bundle to write")
    parser.add_argument("--name", help="bundle id (default: the output folder's name)")
    given = parser.parse_args(arguments)
    sources = given.models.split(",")
    weights = _weights(given.weights, len(sources))
    bundles = [load_bundle(source) for source in sources]
    generator, facts = average(bundles, weights), _facts(bundles, weights)
    name = given.name or given.output.resolve().name
    licence = " ".join(dict.fromkeys(bundle.config.licence for bundle in bundles))
    write_bundle(
        given.output,
        generator=generator,
        base=bundles[0],
        alignment=bundles[0].config.alignment,
        training=facts,
        licence=licence,
        card=_card(generator, name, licence, bundles, facts),
        name=name,
    )
    print(f"Wrote {given.output}")


def _weights(text: str | None, count: int) -> list[float]:
    try:
        weights = [float(one) for one in text.split(",")] if text else [1.0] * count
    except ValueError as error:
        raise TrainingError(f"--weights {text}: numbers, separated by commas.") from error
    if len(weights) != count or not all(0 <= one < float("inf") for one in weights):
        raise TrainingError(
            f"--weights {text}: give one for each of the {count} models, none below 0."
        )
    if not sum(weights):
        raise TrainingError(f"--weights {text}: at least one must be above 0.")
    return weights


if __name__ == "__main__":
    run_from_shell("average", main)
