"""A network that is described by its config: a list of layers, and which values each one takes.

Identity networks of others come in many architectures. What they have in common is that they are
convolutions, norms and sums in some order, so the order is data here, and no code of theirs runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from simswap.models.bounds import is_setting

INPUT = "crops"  # the name of the network's input


@dataclass(frozen=True)
class Layer:
    """One step of a graph.

    kind: a key of KINDS; takes: names of values; gives: the name of its output; settings: what
    torch's module of that kind is made with.
    """

    kind: str
    takes: tuple[str, ...]
    gives: str
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"layer kind {self.kind!r:.40} is not one of {sorted(KINDS)}")
        if not all(isinstance(name, str) for name in (self.gives, *self.takes)):
            raise ValueError("a layer takes and gives values by their names")
        # JSON brings lists.
        object.__setattr__(self, "takes", tuple(self.takes))
        settings = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self.settings.items()
        }
        object.__setattr__(self, "settings", settings)
        for name, value in settings.items():
            if name not in SETTINGS.get(self.kind, ()) or not is_setting(value):
                raise ValueError(f"a {self.kind} cannot be set to {name!r:.40}={value!r:.40}")


class _Norm(nn.BatchNorm2d):
    """Batch norm of maps and of vectors alike."""

    def _check_input_dim(self, input: Tensor) -> None:
        pass


class _Constant(nn.Module):
    """A stored value that takes part in a sum or product."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("value", torch.zeros(tuple(shape)))

    def forward(self) -> Tensor:
        return self.value


class _Pair(nn.Module):
    """A function of two values."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return self.function(first, second)


KINDS: dict[str, Callable[..., nn.Module]] = {
    "convolution": nn.Conv2d,
    "norm": _Norm,
    "linear": nn.Linear,
    "constant": _Constant,
    "prelu": nn.PReLU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "clip": nn.Hardtanh,
    "sigmoid": nn.Sigmoid,
    "flatten": nn.Flatten,
    "max_pool": nn.MaxPool2d,
    "mean_pool": nn.AdaptiveAvgPool2d,
    "add": lambda: _Pair(torch.add),
    "subtract": lambda: _Pair(torch.sub),
    "multiply": lambda: _Pair(torch.mul),
    "divide": lambda: _Pair(torch.div),
}

# What the layers may be set to; the other kinds have nothing to set.
SETTINGS = {
    "convolution": {
        *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"),
        *("groups", "bias"),
    },
    "norm": {"num_features", "eps"},
    "linear": {"in_features", "out_features", "bias"},
    "constant": {"shape"},
    "prelu": {"num_parameters"},
    "leaky_relu": {"negative_slope"},
    "clip": {"min_val", "max_val"},
    "max_pool": {"kernel_size", "stride", "padding"},
    "mean_pool": {"output_size"},
}


class GraphNetwork(nn.Module):
    """Aligned crops -> embedding, layer by layer.

    prepare: module that maps crops in [0, 1] to the normalised [B, 3, 112, 112] the graph reads.
    layers: in the order in which they run; the last one gives the embedding.
    Raises ValueError if a layer takes a value that none before it gives.
    """

    def __init__(self, prepare: nn.Module, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.prepare = prepare
        self.description = tuple(layers)
        self.layers = nn.ModuleList(KINDS[layer.kind](**layer.settings) for layer in layers)
        known, last_use = {INPUT}, {}
        for number, layer in enumerate(self.description):
            if not known.issuperset(layer.takes):
                raise ValueError(f"layer {number} takes {layer.takes}, not all of them given")
            known.add(layer.gives)
            last_use |= dict.fromkeys(layer.takes, number)
        # Values are let go after their last use: a deep network's would fill the memory.
        self._done_after = [
            [name for name, last in last_use.items() if last == number]
            for number in range(len(self.description))
        ]

    def forward(self, crops: Tensor) -> Tensor:
        """crops: [B, 3, S, S] RGB in [0, 1] -> [B, embedding_size], not normalised."""
        values = {INPUT: self.prepare(crops)}
        for layer, module, done in zip(
            self.description, self.layers, self._done_after, strict=True
        ):
            values[layer.gives] = module(*(values[name] for name in layer.takes))
            for name in done:
                del values[name]
        return values[self.description[-1].gives]
