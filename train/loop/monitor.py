"""What a person sees of a run: progress bar, scalars, sample grids; and the watch on its losses."""

from __future__ import annotations

import logging
import math
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from train.config import TrainConfig
from train.errors import TrainingError
from train.loop.steps import Pairs

logger = logging.getLogger(__name__)

SAMPLES_FOLDER = "samples"
MAX_PAIRS = 8  # of each kind on a sample grid


class LossWatch:
    """Reads losses one step late, so that the GPU is never waited for, and averages them.

    A loss that is not finite stops the run before another checkpoint is written.
    """

    def __init__(self) -> None:
        self._pending: tuple[int, bool, list[str], Tensor] | None = None
        self._arrived: torch.cuda.Event | None = None  # those values, on their way from a GPU
        self._sums: dict[str, list[float]] = {}

    def record(self, step: int, same: bool, losses: Mapping[str, Tensor]) -> None:
        """Take note of one step's losses; checks those of the step before.

        Raises TrainingError if one of those is not finite.
        """
        self.settle()
        values = torch.stack([value.detach().float() for value in losses.values()])
        if values.device.type == "cpu":
            self._pending = (step, same, list(losses), values)
            self.settle()
            return
        copy = torch.empty_like(values, device="cpu", pin_memory=True)  # else the copy would wait
        copy.copy_(values, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record()
        self._pending = (step, same, list(losses), copy)

    def settle(self) -> None:
        """Check what is still pending: before a checkpoint, and at the end."""
        if self._pending is None:
            return
        step, same, names, values = self._pending
        self._pending = None
        if self._arrived:
            self._arrived.synchronize()
        found = dict(zip(names, values.tolist(), strict=True))
        broken = [name for name, value in found.items() if not math.isfinite(value)]
        if broken:
            raise TrainingError(
                f"The loss {broken[0]} became {found[broken[0]]} at step {step + 1} ({found}). "
                "The checkpoints are as they were before. Resume with a lower --learning-rate, or "
                "with --mixed-precision no; if the newest breaks too, from an older one: "
                "--resume FOLDER."
            )
        for name, value in found.items():
            kind = f"{name}_{'same' if same else 'different'}" if name == "identity" else name
            self._sums.setdefault(kind if "/" in kind else f"loss/{kind}", []).append(value)

    def means(self) -> dict[str, float]:
        """Mean of each loss since the last call."""
        means = {name: sum(values) / len(values) for name, values in self._sums.items()}
        self._sums.clear()
        return means


class Progress:
    """A bar with images/s and the time left, and the same figures for the tracker."""

    def __init__(self, accelerator: Accelerator, config: TrainConfig, start: int) -> None:
        self._images = config.batch_size * config.accumulation * accelerator.num_processes
        self._since, self._at = time.perf_counter(), start
        self._num_steps = config.num_steps
        # In a file a bar is one long line.
        self._logs = accelerator.is_main_process and not sys.stderr.isatty()
        self._bar = tqdm(
            total=config.num_steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not accelerator.is_main_process or self._logs,
        )

    def advance(self) -> None:
        """One step more."""
        self._bar.update()

    def report(self, step: int, losses: Mapping[str, float]) -> dict[str, float]:
        """Show the means; -> images/s since the last report."""
        now = time.perf_counter()
        rate = (step - self._at) * self._images / max(now - self._since, 1e-9)
        self._since, self._at = now, step
        shown = {
            name.removeprefix("loss/"): f"{value:.3f}"
            for name, value in losses.items()
            if name.startswith("loss/")
        }
        shown["images/s"] = f"{rate:.1f}"
        if self._logs:
            line = ", ".join(f"{name} {value}" for name, value in shown.items())
            logger.info("Step %d of %d: %s", step, self._num_steps, line)
        self._bar.set_postfix(shown)
        scalars = {"images_per_second": rate}
        if torch.cuda.is_available():
            scalars["memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        return scalars

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


@torch.no_grad()
def write_samples(
    accelerator: Accelerator,
    folder: Path,
    step: int,
    generator: nn.Module,
    embed: Callable[[Tensor, Tensor], Tensor],
    kinds: Mapping[str, Pairs],
) -> bytes:
    """PNG of rows source, target, swap for each kind of pairs; also to the tracker. -> its bytes.

    generator: the moving average; embed: FrozenNetworks.embed_sources.
    """
    grids = []
    for pairs in kinds.values():
        targets, sources = pairs.targets[:MAX_PAIRS], pairs.sources[:MAX_PAIRS]
        swapped = generator(targets, embed(sources, targets)).float()
        shown = F.interpolate(sources, targets.shape[-1:] * 2, mode="bilinear", antialias=True)
        grids.append(_grid(torch.stack([shown, targets, swapped])))
    width = max(grid.shape[1] for grid in grids)
    picture = np.concatenate(
        [np.pad(grid, ((0, 8), (0, width - grid.shape[1]), (0, 0))) for grid in grids]
    )
    content = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"step_{step:08d}.png").write_bytes(content)
    for tracker in accelerator.trackers:
        tracker.log_images({"samples": picture[None]}, step, **_image_options(tracker.name))
    return content


def _image_options(tracker: str) -> dict[str, str]:
    return {"dataformats": "NHWC"} if tracker == "tensorboard" else {}


def _grid(rows: Tensor) -> np.ndarray:
    """[R, B, 3, S, S] in [0, 1] -> [R * S, B * S, 3] uint8."""
    pixels = (rows.clamp(0, 1) * 255).round().byte().permute(0, 3, 1, 4, 2)  # R, S, B, S, 3
    count, size, num_pairs = pixels.shape[:3]
    return pixels.reshape(count * size, num_pairs * size, 3).cpu().numpy()
