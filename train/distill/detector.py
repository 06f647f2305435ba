"""Distils the face detector: YuNet's weights as they are, and a branch that finds rolled heads.

    python -m train.distill.detector --data ../shared/data --output detector.safetensors

The upright branch is the teacher, weight for weight. The rolled branch starts from the same
weights and learns from scenes rendered twice: upright for the teacher, rolled for the student,
whose targets are the teacher's own maps, turned (see detector_scenes.py).
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor

from simswap.models.detector import STRIDES, DetectorConfig, FaceDetector, LevelMaps
from train.distill.scenes import PhotoStore, SceneBatch, SceneMaker, TurnedTargets, turn_targets
from train.evaluate.judges import open_onnx

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DistillationConfig:
    """How long and how hard the rolled branch trains; some six minutes of one CPU core."""

    num_steps: int = 600
    batch_size: int = 16  # scenes
    learning_rate: float = 2e-3
    num_photos: int = 4000  # kept decoded in memory
    box_weight: float = 1.0
    seed: int = 0


def load_teacher(path: Path) -> FaceDetector:
    """Our detector with the published graph's weights in both branches, and proof that they fit."""
    graph = onnx.load(path).graph
    initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    values = [torch.tensor(initializers[name]) for node in convolutions for name in node.input[1:]]
    detector = FaceDetector(DetectorConfig())
    keys = [key for key in detector.state_dict() if not key.startswith("rolled.")]
    weights = dict(zip(keys, values, strict=True))
    weights[keys[0]] = weights[keys[0]].flip(1)  # the graph takes BGR, we take RGB
    detector.load_state_dict(weights, strict=False)
    detector.rolled.load_state_dict(detector.upright.state_dict(), strict=False)
    detector.eval().to(memory_format=torch.channels_last)  # thrice as fast on a CPU
    _check_parity(detector, path)
    return detector


@torch.inference_mode()
def _check_parity(detector: FaceDetector, path: Path) -> None:
    session = open_onnx(path)
    images = torch.from_numpy(np.random.RandomState(0).rand(1, 3, 640, 640).astype(np.float32))
    names = [output.name for output in session.get_outputs()]
    expected = dict(
        zip(names, session.run(None, {"input": (images.flip(1) * 255).numpy()}), strict=True)
    )
    worst = 0.0
    for stride, maps in zip(STRIDES, detector(images).upright, strict=True):
        probabilities = maps.confidence.sigmoid()
        ours = {"cls": probabilities[:, :1], "obj": probabilities[:, 1:]}
        ours |= {"bbox": maps.boxes, "kps": maps.landmarks}
        for name, value in ours.items():
            rows = value.flatten(2).transpose(1, 2).numpy()
            worst = max(worst, float(np.abs(rows - expected[f"{name}_{stride}"]).max()))
    if worst > 1e-3:
        raise RuntimeError(f"Our detector differs from {path} by {worst:.1e}; 1e-3 is allowed.")
    logger.info("Parity with the teacher: largest difference %.1e", worst)


def distillation_loss(
    student: tuple[LevelMaps, ...], targets: tuple[TurnedTargets, ...], box_weight: float
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy on every cell; box distance, in box sizes, on the cells of rolled faces."""
    confidence = boxes = weights = torch.zeros(())
    for maps, target in zip(student, targets, strict=True):
        confidence = confidence + F.binary_cross_entropy_with_logits(
            maps.confidence, target.confidence, reduction="sum"
        )
        size = target.boxes[:, 2:].exp()  # in strides
        centre_error = (maps.boxes[:, :2] - target.boxes[:, :2]).abs() / size
        size_error = (maps.boxes[:, 2:] - target.boxes[:, 2:]).abs()
        boxes = boxes + (target.weight * (centre_error + size_error)).sum()
        weights = weights + target.weight.sum()
    confidence, boxes = confidence / weights.clamp(min=1), boxes / weights.clamp(min=1)
    parts = {"confidence": float(confidence.detach()), "boxes": float(boxes.detach())}
    return confidence + box_weight * boxes, parts


def distil(detector: FaceDetector, scenes: SceneMaker, config: DistillationConfig) -> None:
    """Trains `detector.rolled` in place; everything else stays as it is."""
    detector.requires_grad_(False)
    detector.rolled.requires_grad_(True)
    optimizer = torch.optim.AdamW(detector.rolled.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=config.num_steps, pct_start=0.05
    )
    start = time.monotonic()
    for step in range(config.num_steps):
        loss, parts = _step(detector, scenes.batch(config.batch_size), config)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            figures = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
            logger.info("Step %d, %.0f s: %s", step, time.monotonic() - start, figures)


def _step(
    detector: FaceDetector, batch: SceneBatch, config: DistillationConfig
) -> tuple[Tensor, dict[str, float]]:
    with torch.no_grad():
        targets = turn_targets(detector.upright(detector.features(batch.upright)), batch)
        features = detector.features(batch.rolled)
    return distillation_loss(detector.rolled(features), targets, config.box_weight)


def main() -> None:
    """Teacher, photos, training, weights."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models/ and faces/")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--num-steps", type=int, default=DistillationConfig.num_steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(arguments.threads)
    config = DistillationConfig(num_steps=arguments.num_steps)
    torch.manual_seed(config.seed)

    detector = load_teacher(arguments.data / "models" / "yunet_2023mar.onnx")
    photos = PhotoStore.load(arguments.data / "faces", config.num_photos, seed=config.seed)
    distil(detector, SceneMaker(photos, seed=config.seed), config)
    state = {key: value.contiguous() for key, value in detector.state_dict().items()}
    save_file(state, arguments.output)
    logger.info("Wrote %s", arguments.output)


if __name__ == "__main__":
    main()
