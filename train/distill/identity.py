r"""Distil the bundled identity network from public face recognition networks.

    python -m train.distill.identity --data ../shared/data/faces --teachers ../shared/data/models \
        --output assets/models/simswap-lite-128/identity.safetensors

The student is a MobileFaceNet whose trunk STARTS FROM A TEACHER'S OWN WEIGHTS
(mobilefacenet_ms1m.pt); only its 512-d head is new. Its target for a photo is the unit-norm
embedding of a better teacher, EdgeFace-XS. The head is fitted first, in closed form; then
everything is trained on 1 - cosine with light augmentation.

The photos carry no data licence and the teachers learnt from web-scraped faces, so the result is
for research only.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from simswap.models.identity import (
    IdentityConfig,
    MobileFaceNet,
    build_identity_network,
    embed_identity,
)
from simswap.models.inference import fold_batch_norms
from simswap.runtime.pixels import network_input
from train.checks.identity import verification_accuracy
from train.pairing.identity_crops import embed_all, load_identity_crops

logger = logging.getLogger(__name__)

LOG_EVERY = 50  # steps
TARGET_TEACHER = "edgeface_xs.pt"  # whose embeddings the student learns
TRUNK_TEACHER = "mobilefacenet_ms1m.pt"  # whose trunk the student starts from
# The trunk teacher's module names -> ours.
TEACHER_NAMES = (
    ("net.conv1.0.", "stem.0.conv."),
    ("net.conv1.1.", "stem.0.norm."),
    ("net.dw_conv.depthwise.", "stem.1.conv."),
    ("net.dw_conv.bn1.", "stem.1.norm."),
    ("net.dw_conv.pointwise.", "stem.2.conv."),
    ("net.dw_conv.bn2.", "stem.2.norm."),
    ("net.features.", "blocks."),
    (".conv.0.0.", ".expand.conv."),
    (".conv.0.1.", ".expand.norm."),
    (".conv.1.0.", ".depthwise.conv."),
    (".conv.1.1.", ".depthwise.norm."),
    (".conv.2.", ".project.conv."),
    (".conv.3.", ".project.norm."),
    ("net.conv2.0.", "last.conv."),
    ("net.conv2.1.", "last.norm."),
    ("net.gdconv.depthwise.", "pool.conv."),
    ("net.gdconv.bn.", "pool.norm."),
)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Aligned photos with what the teachers say of them.

    crops: [N, 112, 112, 3] uint8 RGB, ArcFace template, maybe a memory map of all photos.
    rows: [M] int64, the photos of `crops` this set consists of.
    identities: [N] int64; targets: [N, 512] float32, unit norm.
    """

    crops: np.ndarray
    rows: Tensor
    identities: np.ndarray
    targets: Tensor

    def images(self, chosen: Tensor) -> Tensor:
        """Photos `chosen` (numbers in `crops`) as [B, 3, 112, 112] float32 in [0, 1]."""
        return network_input(torch.from_numpy(self.crops[chosen.numpy()]))


def load_lessons(data: Path, teachers: Path, cache: Path) -> Lessons:
    """Every photo with its target; crops and embeddings are kept in the cache."""
    crops, identities = load_identity_crops(str(data), cache)
    teacher = torch.jit.freeze(torch.jit.load(teachers / TARGET_TEACHER, map_location="cpu").eval())
    targets = embed_all(teacher, crops, cache / f"{Path(TARGET_TEACHER).stem}.npy")
    return Lessons(crops, torch.arange(len(crops)), identities, targets)


def load_teacher_trunk(student: MobileFaceNet, teacher: Path) -> None:
    """Copy every weight but the head's from the TorchScript MobileFaceNet into the student."""
    state = {}
    for name, value in torch.jit.load(teacher, map_location="cpu").state_dict().items():
        for theirs, ours in TEACHER_NAMES:
            name = name.replace(theirs, ours)
        state[name] = value
    own = student.state_dict()
    trunk = {name: state[name] for name in own if not name.startswith("head.")}
    student.load_state_dict(trunk, strict=False)


@torch.inference_mode()
def fit_head(student: MobileFaceNet, lessons: Lessons, num_photos: int, ridge: float) -> None:
    """Set the head to the ridge regression from pooled features to targets of some photos."""
    rows = lessons.rows[torch.randperm(len(lessons.rows))[:num_photos]]
    features = [student.pooled_features(lessons.images(chosen)) for chosen in rows.split(64)]
    design = torch.cat([torch.cat(features), torch.ones(len(rows), 1)], dim=1).double()
    gram = design.T @ design
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram))
    solution = torch.linalg.solve(gram, design.T @ lessons.targets[rows].double()).float()
    student.head.weight.copy_(solution[:-1].T)
    student.head.bias.copy_(solution[-1])


def augment(images: Tensor) -> Tensor:
    """Random mirror, shift, turn, scale, resolution and colour, different for each image.

    images: [B, 3, S, S] float32 RGB in [0, 1] -> the same shape and range.
    """
    num = len(images)
    angle = (torch.rand(num) - 0.5) * math.radians(12)
    scale = 1 + (torch.rand(num) - 0.5) * 0.12
    mirror = torch.randint(0, 2, (num,)) * 2.0 - 1
    shift = (torch.rand(num, 2, 1) - 0.5) * 0.1  # of half the side: up to 2.8 of 112 pixels
    across = torch.stack([scale * angle.cos() * mirror, -scale * angle.sin()], dim=1)
    down = torch.stack([scale * angle.sin() * mirror, scale * angle.cos()], dim=1)
    theta = torch.cat([torch.stack([across, down], dim=1), shift], dim=2)  # [B, 2, 3]
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    for index in torch.nonzero(torch.rand(num) < 0.3).flatten().tolist():
        images[index] = _lower_resolution(images[index], int(torch.randint(24, 80, ())))
    return _shift_colours(images)


def _lower_resolution(image: Tensor, size: int) -> Tensor:
    small = F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
    return F.interpolate(small, image.shape[-2:], mode="bilinear")[0]


def _shift_colours(images: Tensor) -> Tensor:
    def factors(spread: float, channels: int = 1) -> Tensor:
        return 1 + (torch.rand(len(images), channels, 1, 1) - 0.5) * 2 * spread

    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * factors(0.4)
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * factors(0.25)
    return (images * factors(0.2) * factors(0.06, channels=3)).clamp(0, 1)


def train(
    student: MobileFaceNet, lessons: Lessons, steps: int, batch_size: int, learning_rate: float
) -> None:
    """Train all weights on 1 - cosine to the targets; batch norm keeps the teacher's statistics."""
    parameters = list(student.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=steps, pct_start=0.1
    )
    student.to(memory_format=torch.channels_last)
    num_epochs = math.ceil(steps * batch_size / len(lessons.rows))
    order = torch.cat([torch.randperm(len(lessons.rows)) for _ in range(num_epochs)])
    started, losses = time.monotonic(), []
    for step in range(steps):
        chosen = lessons.rows[order[step * batch_size : (step + 1) * batch_size]]
        images = augment(lessons.images(chosen)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            embeddings = student(images)
        embeddings = F.normalize(embeddings.float(), dim=1)
        loss = 1 - (embeddings * lessons.targets[chosen]).sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        if (step + 1) % LOG_EVERY == 0:
            recent, seconds = np.mean(losses[-LOG_EVERY:]), time.monotonic() - started
            logger.info("step %d: loss %.4f, %.0f s", step + 1, recent, seconds)


@torch.inference_mode()
def report(student: MobileFaceNet, lessons: Lessons, phase: str) -> None:
    """Log how near the student comes to its targets, and how well it verifies."""
    batches = [embed_identity(student, lessons.images(c)) for c in lessons.rows.split(64)]
    embeddings, targets = torch.cat(batches), lessons.targets[lessons.rows]
    identities = lessons.identities[lessons.rows.numpy()]
    logger.info(
        "%s: held-out cosine to the targets %.4f, verification %.2f %% (targets: %.2f %%)",
        phase,
        (embeddings * targets).sum(1).mean().item(),
        100 * verification_accuracy(embeddings, identities),
        100 * verification_accuracy(targets, identities),
    )


def split_by_identity(lessons: Lessons, num_held_out: int) -> tuple[Lessons, Lessons]:
    """Lessons without, and with only, that many random identities of two to 20 photos."""
    counts = np.bincount(lessons.identities)
    eligible = torch.from_numpy(np.flatnonzero((counts >= 2) & (counts <= 20)))
    held_out = eligible[torch.randperm(len(eligible))[:num_held_out]]
    is_held_out = torch.isin(torch.from_numpy(lessons.identities[lessons.rows.numpy()]), held_out)
    return (
        replace(lessons, rows=lessons.rows[~is_held_out]),
        replace(lessons, rows=lessons.rows[is_held_out]),
    )


def main() -> None:
    """Lessons, warm start, head, training, export."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of parquet shards")
    parser.add_argument("--teachers", type=Path, required=True, help="folder of the teachers")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--cache", type=Path, default=Path("runs/cache"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="the schedule's peak")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    lessons = load_lessons(arguments.data, arguments.teachers, arguments.cache)
    training, held_out = split_by_identity(lessons, num_held_out=100)
    logger.info("%d photos to train on, %d held out", len(training.rows), len(held_out.rows))
    student = build_identity_network(IdentityConfig(batch_norm=True)).eval()
    load_teacher_trunk(student, arguments.teachers / TRUNK_TEACHER)
    fit_head(student, training, num_photos=6000, ridge=1e-3)
    report(student, held_out, "head fitted")
    train(student, training, arguments.steps, arguments.batch_size, arguments.learning_rate)
    fold_batch_norms(student.eval())
    report(student, held_out, "trained and folded")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in student.state_dict().items()}
    save_file(weights, arguments.output)
    logger.info("Wrote %s", arguments.output)


if __name__ == "__main__":
    main()
