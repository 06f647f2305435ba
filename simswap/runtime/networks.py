"""The networks of a model, ready to run: what the swap path calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from simswap.models.detector import FaceDetector, UprightDetector
from simswap.models.generator import Generator
from simswap.models.identity import INPUT_SIZE
from simswap.models.inference import for_rendering
from simswap.models.parser import INPUT_SIZE as PARSED_SIZE
from simswap.models.parser import FaceParser
from simswap.runtime.openvino_networks import OpenVinoNetwork
from simswap.runtime.torch_networks import TorchNetwork


class Network(Protocol):
    """A loaded network: tensors in, tensors out; safe to share between threads.

    device: where its inputs have to be. runtime: what computes it, one of choice.RUNTIMES.
    precision: what it computes in, "float32" or "bfloat16"; inputs and outputs are float32.
    """

    device: torch.device
    runtime: str
    precision: str

    def __call__(self, *inputs: Tensor) -> Tensor | tuple:
        """What the network's module gives."""


@dataclass(frozen=True)
class DetectorNetworks:
    """A face detector: whole, images -> DetectorMaps; and of it the upright branch alone."""

    whole: Network
    upright: Network

    @classmethod
    def in_torch(cls, detector: FaceDetector) -> DetectorNetworks:
        """As torch runs it; detector: in evaluation mode, on any device."""
        return cls(TorchNetwork(detector), TorchNetwork(UprightDetector(detector)))


@dataclass(frozen=True)
class Networks:
    """The networks of a model, with the contracts of their modules (see models).

    parser: None where the model has none.
    """

    generator: Network
    identity: Network
    detector: DetectorNetworks
    parser: Network | None = None


def load_networks(
    runtime: str,
    generator: Generator,
    identity_network: nn.Module,
    detector: FaceDetector,
    crop_size: int,
    parser: FaceParser | None = None,
) -> Networks:
    """The networks as a runtime runs them.

    runtime: one of choice.RUNTIMES. The modules: prepared for inference, on one device.
    crop_size: px, side of the generator's crops.
    """
    if runtime == "torch":
        rendering = TorchNetwork(for_rendering(generator, next(generator.parameters()).device))
        identity = TorchNetwork(identity_network)
        parsing = TorchNetwork(parser) if parser else None
        return Networks(rendering, identity, DetectorNetworks.in_torch(detector), parsing)
    crops, embeddings = (1, 3, crop_size, crop_size), (1, generator.config.embedding_size)
    upright, images = UprightDetector(detector), (-1, 3, -1, -1)
    faces = (1, 3, INPUT_SIZE, INPUT_SIZE)
    parsed = (1, 3, PARSED_SIZE, PARSED_SIZE)
    return Networks(
        OpenVinoNetwork(generator, (crops, embeddings), may_reduce=True),
        OpenVinoNetwork(identity_network, (faces,), may_reduce=True),
        # Landmarks are read to a fraction of a pixel.
        DetectorNetworks(
            OpenVinoNetwork(detector, (images,), may_reduce=False),
            OpenVinoNetwork(upright, (images,), may_reduce=False),
        ),
        OpenVinoNetwork(parser, (parsed,), may_reduce=True) if parser else None,
    )
