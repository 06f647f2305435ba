"""What a run needs before its first step: processes, precision, trackers, photos."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import LoggerType, broadcast_object_list

from simswap.files import write_whole
from train.config import TrainConfig
from train.data.examples import make_example_data
from train.data.shards import PhotoShards
from train.errors import TrainingError
from train.loop.agreement import all_agree
from train.loop.checkpoints import set_newer_aside
from train.loop.steps import Pairs
from train.pairing.blocks import Position
from train.pairing.cache import cache_photos
from train.pairing.cached_pairs import CachedPairLoader
from train.pairing.loader import LoaderState, PairLoader, open_data
from train.pairing.mixed_pairs import MixedPhotos, stream_of

logger = logging.getLogger(__name__)

METRICS_FILE = "metrics.jsonl"


def choose_precision(asked: str) -> str:
    """What "auto" means on this machine: bf16 where the device computes in it, else fp32 ("no").

    Many CPUs only imitate bf16: measured, ten times slower than fp32.
    """
    if torch.cuda.is_available():
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        has_bf16 = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    if asked == "bf16" and not has_bf16:
        logger.warning("This device only imitates bf16; --mixed-precision no is far faster.")
    if asked != "auto":
        return asked
    if (told := os.environ.get("ACCELERATE_MIXED_PRECISION")) in ("bf16", "fp16"):
        return told  # by `accelerate config`; its "no" cannot be told from its default
    return "bf16" if has_bf16 else "no"


def make_accelerator(config: TrainConfig) -> Accelerator:
    """Device, processes, precision and trackers. Raises TrainingError for one not installed."""
    known = [*(tracker.value for tracker in LoggerType), "none"]
    if config.log_with not in known:
        raise TrainingError(f"log_with={config.log_with!r} is none of {', '.join(known)}.")
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),  # two CPU processes exist only where this is said
        mixed_precision=choose_precision(config.mixed_precision),
        gradient_accumulation_steps=config.accumulation,
        log_with=None if config.log_with == "none" else config.log_with,
        project_dir=config.output,
    )
    # The environment's would be half a setting: losses are averaged over ours.
    accelerator.gradient_accumulation_steps = config.accumulation
    if not accelerator.is_main_process:
        logging.getLogger().setLevel(logging.WARNING)  # one says it for all
    if config.log_with != "none" and not accelerator.log_with:
        raise TrainingError(
            f"log_with={config.log_with!r}: that package is not installed. `pip install "
            f"{config.log_with}`, or use another tracker or 'none'."
        )
    return accelerator


def start_trackers(accelerator: Accelerator, config: TrainConfig) -> None:
    """Begin the run in the trackers, with its name and all settings."""
    # TensorBoard makes a folder of the project's name.
    project = "logs" if config.log_with == "tensorboard" else "simswap"
    settings = dict(_flat(json.loads(config.to_json())))
    accelerator.init_trackers(project, settings, {"wandb": {"name": Path(config.output).name}})


def _flat(settings: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Tables become dotted names, and lists text: what every tracker takes."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value) if isinstance(value, list) else value


def open_shards(accelerator: Accelerator, config: TrainConfig) -> PhotoShards | MixedPhotos:
    """The run's photos; those of "examples" are made by the main process first."""
    if config.data != "examples":
        return open_data(config)
    folder = Path(config.output) / "data"
    if accelerator.is_main_process:
        make_example_data(folder)
    accelerator.wait_for_everyone()
    return open_data(config, examples_folder=str(folder))


def make_loader(
    accelerator: Accelerator,
    config: TrainConfig,
    shards: PhotoShards | MixedPhotos,
    state: LoaderState | None = None,
) -> PairLoader | CachedPairLoader:
    """This process's endless batches, from where `state` says."""
    options = {
        "rank": accelerator.process_index,
        "world": accelerator.num_processes,
        "accumulation": config.accumulation,
        "same_every": config.same_every,
        "state": state,
    }
    if config.cache_photos:
        rank, world = options["rank"], options["world"]
        photos = cache_photos(
            shards, config, accelerator.device, config.num_workers, rank=rank, world=world
        )
        return CachedPairLoader(photos, config, **options)
    return PairLoader(shards, config, num_workers=config.num_workers, **options)


def fixed_pairs(
    config: TrainConfig, shards: PhotoShards | MixedPhotos, device: torch.device
) -> Pairs:
    """The same different-identity pairs throughout a run, to watch them change."""
    stream = stream_of(shards, config)
    return Pairs.of(next(stream.batches(Position(), never_same())), device)


def never_same() -> Iterator[bool]:
    """Different identities only."""
    while True:
        yield False


def make_output_folder(accelerator: Accelerator, config: TrainConfig, start: int) -> None:
    """The run's folder, with its configuration, and nothing of steps beyond `start`.

    Raises TrainingError if it cannot be written.
    """
    output = Path(config.output)
    metrics = output / METRICS_FILE
    try:
        output.mkdir(parents=True, exist_ok=True)
        if accelerator.is_main_process:
            write_whole(output / "config.json", config.to_json().encode())
            set_newer_aside(output, start)
            if metrics.is_file():
                lines = metrics.read_text().splitlines(keepends=True)
                kept = [line for line in lines if start and _step_of(line) <= start]
                write_whole(metrics, "".join(kept).encode())
    except OSError as error:
        raise TrainingError(
            f"The output folder {output} cannot be written to ({error.strerror}). "
            "Name another with --output."
        ) from error
    _check_shared(accelerator, output)


def _check_shared(accelerator: Accelerator, output: Path) -> None:
    """Raise TrainingError, in all processes, if they do not write to one folder."""
    if accelerator.num_processes == 1:
        return
    (token,) = broadcast_object_list([secrets.token_hex(8)])
    path = output / f".shared-{token}"
    if accelerator.is_main_process:
        path.touch()
    accelerator.wait_for_everyone()
    is_shared = all_agree(accelerator, path.is_file())
    if accelerator.is_main_process:
        path.unlink()
    if not is_shared:
        raise TrainingError(
            f"The output folder {output} is not the same for all processes. Name one that all "
            "nodes share (--output), as checkpoints need."
        )


def _step_of(line: str) -> float:
    """Of a line of metrics; one that a kill cut off belongs to no step."""
    try:
        return json.loads(line)["step"]
    except (ValueError, RecursionError):
        return math.inf
