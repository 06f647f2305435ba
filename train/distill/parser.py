r"""Trains the bundled face parser on photos with a class for each pixel, and things before them.

    python -m train.distill.parser --data ../shared/data --output runs/parser.safetensors

The photos are CelebAMask-HQ's, for research only, and so are the weights. Their people wear glasses
seldom, and hold hardly anything before their faces: that is drawn (see occluders.py).
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from simswap.models.parser import CLASSES, FaceParser, ParserConfig
from simswap.runtime.pixels import network_input
from simswap.weights.weight_files import load_tensors
from train.distill.parsed_photos import ParsedPhotos, load_parsed_photos
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

LOG_EVERY = 25  # steps; the weights so far are written as often
# Small parts count more, or the net would leave them to their surroundings.
CLASS_WEIGHTS = (1.0, 1.0, 2.0, 1.5, 2.0, 1.0, 2.0, 1.5)


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how hard the parser trains."""

    num_steps: int = 2000
    batch_size: int = 16
    learning_rate: float = 3e-3  # the schedule's peak
    seed: int = 0


class VariedPhotos(IterableDataset):
    """Photos in random order without end, each varied anew: [S, S, 3] and [S, S] uint8."""

    def __init__(self, photos: ParsedPhotos, seed: int) -> None:
        self.photos, self.seed = photos, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        random = np.random.default_rng(self.seed)
        while True:
            for place in random.permutation(len(self.photos)):
                crop, labels = self.photos.varied(int(place), random)
                yield torch.from_numpy(crop), torch.from_numpy(labels)


def parsing_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, weighted by class, with the share of each class in each place.

    logits: [B, 8, S / 2, S / 2]; labels: [B, S, S] uint8, see CLASSES, or IGNORED.
    """
    one_hot = torch.stack([labels == number for number in range(len(CLASSES))], dim=1)
    shares = F.avg_pool2d(one_hot.float(), 2)
    weighted = shares * torch.tensor(CLASS_WEIGHTS)[:, None, None]
    return -(weighted * F.log_softmax(logits, dim=1)).sum() / weighted.sum()


def train(parser: FaceParser, photos: ParsedPhotos, config: TrainingConfig, output: Path) -> None:
    """Trains in place; writes the weights so far to `output` now and then."""
    parser.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(parser.parameters(), config.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.num_steps, pct_start=0.1
    )
    # A worker of its own draws while the network learns.
    batches = iter(DataLoader(VariedPhotos(photos, config.seed), config.batch_size, num_workers=1))
    started, losses = time.monotonic(), []
    for step in range(1, config.num_steps + 1):
        crops, labels = next(batches)
        loss = parsing_loss(parser.logits(network_input(crops)), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % LOG_EVERY == 0 or step == config.num_steps:
            recent, seconds = np.mean(losses[-LOG_EVERY:]), time.monotonic() - started
            logger.info("step %d: loss %.4f, %.0f s", step, recent, seconds)
            write(parser, output)


def write(parser: FaceParser, output: Path) -> None:
    """Its weights as float16, as bundles hold them."""
    output.parent.mkdir(parents=True, exist_ok=True)
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in parser.state_dict().items()
    }
    save_file(state, output)


def main() -> None:
    """Photos, training, weights."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--data", type=Path, required=True, help="folder with masks/, faces_hq/")
    arguments.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    arguments.add_argument("--init-from", type=Path, help="weights to start from")
    arguments.add_argument("--num-steps", type=int, default=TrainingConfig.num_steps)
    arguments.add_argument("--learning-rate", type=float, default=TrainingConfig.learning_rate)
    arguments.add_argument("--seed", type=int, default=TrainingConfig.seed)
    arguments.add_argument("--threads", type=int, default=1)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    config = TrainingConfig(
        num_steps=given.num_steps, learning_rate=given.learning_rate, seed=given.seed
    )
    torch.manual_seed(config.seed)
    photos = load_parsed_photos(given.data, held_out=False)
    parser = FaceParser(ParserConfig())
    if given.init_from:
        parser.load_state_dict(load_tensors(given.init_from))
    size = sum(weights.numel() for weights in parser.parameters())
    logger.info("%d photos, %d classes, %d parameters", len(photos), len(CLASSES), size)
    train(parser, photos, config, given.output)


if __name__ == "__main__":
    run_from_shell("distil_parser", main)
