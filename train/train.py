"""Train a SimSwap generator: `accelerate launch train/train.py --output runs/mine`.

The result is `output/generator.safetensors`, the moving average of the weights, and
`generator_plain.safetensors`, the weights themselves; `python -m train.export` puts one of them
into a bundle that the demo loads.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

# As a script, Python puts train/ first on the path, where this file hides the package `train`.
ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [str(ROOT), *(path for path in sys.path if Path(path).resolve() != ROOT / "train")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from accelerate import Accelerator  # noqa: E402
from accelerate.utils import set_seed  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from simswap.models.generator import Generator  # noqa: E402
from simswap.models.identity import IdentityConfig  # noqa: E402
from train.config import TrainConfig, parse_config  # noqa: E402
from train.data import AlignedFaces, Batch, PairSampler, embed_all, load_aligned_faces  # noqa: E402
from train.discriminator import MultiScaleDiscriminator  # noqa: E402
from train.evaluate_identity import load_identity_network  # noqa: E402
from train.steps import (  # noqa: E402
    CropToIdentityCrop,
    Ema,
    Teacher,
    discriminator_step,
    generator_step,
)

logger = logging.getLogger("train")


def main(config: TrainConfig) -> None:
    """Data, networks, resume, loop, export."""
    accelerator = Accelerator(mixed_precision=config.mixed_precision)
    set_seed(config.seed)
    output = Path(config.output)
    output.mkdir(parents=True, exist_ok=True)
    (output / "config.json").write_text(config.to_json())

    faces, sources, teachers = prepare_data(config)
    sampler = PairSampler(faces, config.crop_size, config.batch_size, config.seed)
    to_identity_crop = CropToIdentityCrop(config.crop_template)
    fixed = PairSampler(faces, config.crop_size, 12, seed=1).batch(1)  # the same in every run

    models = Models(config)
    start = models.load(output / "state.pt") if config.resume else 0
    models.prepare(accelerator)

    logger.info("Training from step %d to %d", start, config.num_steps)
    progress = Progress(config)
    for step, batch in zip(range(start, config.num_steps), sampler.batches(start), strict=False):
        models.set_learning_rate(learning_rate(config, step))
        swapped, losses = generator_step(
            accelerator,
            config,
            step,
            batch,
            models.generator,
            models.discriminator,
            models.generator_optimizer,
            sources[batch.sources],
            teachers[step // 2 % len(teachers)],  # each sees same- and different-identity batches
            to_identity_crop,
        )
        if step >= config.discriminator_from:
            losses |= discriminator_step(
                accelerator, batch, swapped, models.discriminator, models.discriminator_optimizer
            )
        models.ema.update(accelerator.unwrap_model(models.generator), step)
        progress.record(step, losses, batch.same)
        done = step + 1
        if done % config.sample_every == 0 or done == config.num_steps:
            path = output / f"samples_{done:06d}.png"
            write_sample_grid(path, models.ema.generator, faces, fixed, sources[fixed.sources])
        if done % config.save_every == 0 or done == config.num_steps:
            models.save(output / "state.pt", done)
            export_weights(models.ema.generator, output / "generator.safetensors")
            plain = accelerator.unwrap_model(models.generator)
            export_weights(plain, output / "generator_plain.safetensors")


def prepare_data(config: TrainConfig) -> tuple[AlignedFaces, Tensor, list[Teacher]]:
    """Aligned faces, source embeddings [N, 512], and the teachers with theirs."""
    cache = Path(config.cache)
    faces = load_aligned_faces(
        Path(config.data), cache, config.crop_template, config.crop_size, config.crop_margin
    )
    weights = Path(config.identity_model) / "identity.safetensors"
    network = load_identity_network(weights, IdentityConfig())
    name = f"sources_{Path(config.identity_model).name}.npy"
    sources = embed_all(network, faces.identity_crops, cache / name)
    teachers = []
    for path in map(Path, config.teachers):
        network = torch.jit.freeze(torch.jit.load(path, map_location="cpu").eval())
        embeddings = embed_all(network, faces.identity_crops, cache / f"{path.stem}.npy")
        teachers.append(Teacher(network, embeddings))
    return faces, sources, teachers


class Models:
    """Everything that changes while training: networks, moving average, optimisers."""

    def __init__(self, config: TrainConfig) -> None:
        self.generator = Generator(config.generator).to(memory_format=torch.channels_last)
        discriminator = MultiScaleDiscriminator(config.discriminator_width)
        self.discriminator = discriminator.to(memory_format=torch.channels_last)
        self.ema = Ema(self.generator, config.ema_decay)
        rates = {"lr": config.learning_rate, "betas": config.adam_betas}
        self.generator_optimizer = torch.optim.Adam(self.generator.parameters(), **rates)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), **rates)

    def prepare(self, accelerator: Accelerator) -> None:
        """Hand networks and optimisers to Accelerate, after `load`."""
        (
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        ) = accelerator.prepare(
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        )

    def set_learning_rate(self, rate: float) -> None:
        """The same rate for both optimisers."""
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate

    def save(self, path: Path, step: int) -> None:
        """Write atomically: a full disk or a kill leaves the previous file."""
        temporary = path.with_suffix(".tmp")
        torch.save({"step": step, "parts": [part.state_dict() for part in self._parts]}, temporary)
        temporary.replace(path)

    def load(self, path: Path) -> int:
        """Restore all parts; the step to go on from."""
        saved = torch.load(path, weights_only=True)
        for part, state in zip(self._parts, saved["parts"], strict=True):
            part.load_state_dict(state)
        return saved["step"]

    @property
    def _parts(self) -> tuple[nn.Module | torch.optim.Optimizer, ...]:
        return (
            self.generator,
            self.discriminator,
            self.ema.generator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        )


class Progress:
    """Averages the losses and logs them with images per second."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.sums: dict[str, list[float]] = {}
        self.since = time.perf_counter()

    def record(self, step: int, losses: dict[str, float], same: bool) -> None:
        """Add one step's losses; every `log_every` steps log their means."""
        for name, value in losses.items():
            name = f"identity_{'same' if same else 'different'}" if name == "identity" else name
            self.sums.setdefault(name, []).append(value)
        if (step + 1) % self.config.log_every:
            return
        seconds = time.perf_counter() - self.since
        rate = self.config.log_every * self.config.batch_size / seconds
        means = " ".join(f"{name} {np.mean(values):.3f}" for name, values in self.sums.items())
        logger.info("step %d: %s; %.1f images/s", step + 1, means, rate)
        self.sums.clear()
        self.since = time.perf_counter()


def learning_rate(config: TrainConfig, step: int) -> float:
    """Constant, then a half cosine down to the final rate."""
    share = (step / config.num_steps - config.decay_from) / (1 - config.decay_from)
    fall = (1 - np.cos(np.pi * np.clip(share, 0, 1))) / 2
    rates = config.learning_rate, config.final_learning_rate
    return float(rates[0] + fall * (rates[1] - rates[0]))


@torch.inference_mode()
def write_sample_grid(
    path: Path, generator: nn.Module, faces: AlignedFaces, fixed: Batch, embeddings: Tensor
) -> None:
    """PNG of rows source, target, swap, for the fixed pairs and their embeddings [B, 512]."""
    size, margin = fixed.targets.shape[-1], faces.margin
    sources = faces.crops[fixed.sources.numpy()]
    sources = sources[:, margin : margin + size, margin : margin + size]
    both = torch.cat([fixed.targets, generator(fixed.targets, embeddings)])
    both = (both * 255).round().byte().permute(0, 2, 3, 1).numpy()
    grid = np.concatenate([sources, both]).reshape(3, len(sources), size, size, 3)
    picture = grid.transpose(0, 2, 1, 3, 4).reshape(3 * size, len(sources) * size, 3)
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))


def export_weights(generator: nn.Module, path: Path) -> None:
    """A generator's weights as safetensors, half precision (it halves the download)."""
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in generator.state_dict().items()
    }
    temporary = path.with_suffix(".tmp")
    save_file(weights, temporary)
    temporary.replace(path)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    chosen = parse_config()
    if chosen.num_threads:
        torch.set_num_threads(chosen.num_threads)
    main(chosen)
