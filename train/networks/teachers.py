"""The frozen networks of the identity loss: who is on a crop, as several judges of the face see it.

Several teachers of different families keep the generator from learning to fool one of them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simswap.errors import ModelError
from simswap.models.identity import IdentityConfig, build_identity_network
from simswap.weights.bundle import Bundle, find_bundle, load_bundle, load_network, read_config
from simswap.weights.onnx.files import is_onnx
from simswap.weights.onnx.identity import read_onnx_identity
from train.errors import TrainingError
from train.pairing.alignment import IDENTITY_CROP, between_templates

BUNDLED = "bundled"  # names the model in assets/, from whatever folder a run is started


def load_teacher(source: str, device: torch.device) -> nn.Module:
    """A frozen identity network: TorchScript, an ArcFace ONNX, or a bundle's.

    A bundle is "bundled", a folder, or a Hub id.
    Takes [B, 3, 112, 112] RGB in [0, 1], ArcFace alignment, gives [B, E].
    Raises TrainingError if there is none, or it is something else.
    """
    if is_onnx(Path(source)):
        network = _load_onnx(source)[1].requires_grad_(False).to(device)
    elif Path(source).is_file():
        network = load_torchscript(source, device)
    else:
        try:
            folder = find_bundle(None if source == BUNDLED else source)
            network = load_network(folder, read_config(folder), "identity")
        except ModelError as error:
            raise TrainingError(
                f"The teacher {source} is neither a TorchScript nor ONNX file nor a bundle: {error}"
            ) from error
        network.requires_grad_(False).to(device)
    _check(network, source, device)
    return network


def load_base(source: str) -> Bundle:
    """What a run takes its identity network and detector from: "bundled", a bundle, or an ONNX.

    An ONNX file gives the identity network; the detector is then the bundled model's.
    Raises ModelError if it is neither, TrainingError if onnx cannot read it.
    """
    if not is_onnx(Path(source)):
        return load_bundle(None if source == BUNDLED else source)
    config, network = _load_onnx(source)
    bundled = load_bundle()
    base = replace(bundled.config, identity=config)
    return replace(bundled, config=base, identity_network=network)


def _load_onnx(source: str) -> tuple[IdentityConfig, nn.Module]:
    try:
        config, state = read_onnx_identity(Path(source))
    except ModelError as error:
        raise TrainingError(str(error)) from error
    network = build_identity_network(config).eval()
    network.load_state_dict(state)
    return config, network


def load_torchscript(source: str, device: torch.device) -> nn.Module:
    """A frozen network, on `device` throughout. Raises TrainingError if the file is none."""
    try:
        network = torch.jit.load(source, map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"{source} is no TorchScript file (torch.jit.save).") from error
    for module in network.modules():  # before freezing, which computes what depends on no input
        try:
            graph = module.graph
        except RuntimeError:  # tracing found no use for this part: it has no forward
            continue
        _make_tensors_on(graph, device)
    return torch.jit.freeze(network)  # its weights become constants, which need no gradient


def _make_tensors_on(graph: torch.Graph | torch.Block, device: torch.device) -> None:
    """Have a network that was traced on one device make its own tensors on another.

    `map_location` moves weights; tracing writes the device of a new tensor down as a constant.
    """
    for node in graph.nodes():
        if node.kind() == "prim::Constant" and node.output().type().kind() == "DeviceObjType":
            node.s_("value", str(device))
        for block in node.blocks():
            _make_tensors_on(block, device)


@torch.no_grad()
def _check(network: nn.Module, source: str, device: torch.device) -> None:
    try:
        shape = network(torch.zeros(2, 3, IDENTITY_CROP, IDENTITY_CROP, device=device)).shape
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise TrainingError(f"The teacher {source} refuses 112 px crops: {reason}") from error
    if len(shape) != 2 or shape[0] != 2:
        raise TrainingError(f"The teacher {source} gives {list(shape)} for 2 crops, not [2, E].")


class CropToIdentityCrop(nn.Module):
    """Resample generator crops to the alignment that identity networks get.

    Both templates are fixed, so one constant similarity transform maps between them.
    """

    def __init__(self, template: str, identity_template: str) -> None:
        super().__init__()
        identity_to_crop = between_templates(identity_template, template, 1, 1)
        # affine_grid speaks of [-1, 1] from edge to edge; the templates of [0, 1].
        linear, shift = identity_to_crop[:, :2], identity_to_crop[:, 2]
        shift = linear.sum(1) + 2 * shift - 1
        theta = np.concatenate([linear, shift[:, None]], axis=1)
        self.register_buffer("theta", torch.from_numpy(theta).float(), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 3, 112, 112], values unchanged."""
        shrink = crops.shape[-1] // IDENTITY_CROP
        if shrink > 1:  # sampling single pixels of a large crop would alias
            crops = F.avg_pool2d(crops, shrink)
        shape = [len(crops), 3, IDENTITY_CROP, IDENTITY_CROP]
        grid = F.affine_grid(self.theta.expand(len(crops), 2, 3), shape, align_corners=False)
        resampled = F.grid_sample(crops, grid, padding_mode="border", align_corners=False)
        # Measured on a CPU, depthwise teachers are a quarter faster this way.
        return resampled.contiguous(memory_format=torch.channels_last)
