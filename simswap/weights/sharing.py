"""Models often differ in their generators only: the networks that are equal need memory once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from simswap.weights.bundle import Bundle


def share_networks(bundle: Bundle, others: Iterable[Bundle]) -> Bundle:
    """The bundle, its identity network and detector being another's where they are equal.

    All must be as they were loaded: a FaceSwapper fuses the networks that it takes over.
    """
    for other in others:
        ours, theirs = bundle.config, other.config
        if ours.identity == theirs.identity and _have_equal_weights(
            bundle.identity_network, other.identity_network
        ):
            bundle = replace(bundle, identity_network=other.identity_network)
        if ours.detector == theirs.detector and _have_equal_weights(
            bundle.detector, other.detector
        ):
            bundle = replace(bundle, detector=other.detector)
    return bundle


def _have_equal_weights(one: nn.Module, other: nn.Module) -> bool:
    """Whether two networks of the same config have all numbers alike."""
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())
