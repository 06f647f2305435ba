"""How fast is a step, and what does it wait for?

    python -m train.speed --config lite-128 --data user/faces --teachers teacher.pt

Takes the flags of train/train.py. Times real steps on streamed data, same- and different-identity
pairs in turn with the discriminators, after some that warm up: images/s, how long steps wait for
the loader, how many operations they compute (also as a share of the GPU's peak, "MFU"), peak
memory, on a GPU the share of time it computes, and the five costliest operations.
"""

from __future__ import annotations

import logging
import resource
import sys
import time
from dataclasses import dataclass, replace

import torch
from accelerate.utils import set_seed
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from simswap.errors import SimSwapError
from train.command_line import parse_config
from train.config import TrainConfig
from train.loop.setup import make_accelerator, make_loader, open_shards
from train.loop.steps import Pairs, train_step
from train.networks.teachers import load_base
from train.networks.trained import FrozenNetworks, Networks, as_made_for

WARM_UP, COUNTED, TIMED, PROFILED = 4, 2, 10, 2  # steps
# TFLOP/s in bf16 without sparsity, by NVIDIA's data sheets, for names that hold these words.
PEAKS = {"B200": 2250, "H200": 989, "H100": 989, "A100": 312, "L40S": 362, "RTX 4090": 165}


@dataclass(frozen=True)
class Speed:
    """Figures of some steps on one process."""

    device: str
    precision: str
    images_per_second: float
    step_ms: float
    waiting: float  # share of the time, for data
    loading_ms: float | None  # a core's time for a pair; None: workers of their own load
    teraflops: float  # 1e12 operations a second: forward, backward and frozen networks
    peak_share: float | None  # of the GPU's peak in 16 bits, where that is known
    peak_memory_mb: float  # of the GPU where there is one
    busy: float | None  # share of the time a GPU computes
    costliest: tuple[tuple[str, float], ...]  # operations and their share

    def report(self, config: TrainConfig) -> str:
        """A few lines to read."""
        lines = [
            f"{config.name} on {self.device}, {self.precision}, batches of {config.batch_size}: "
            f"{self.images_per_second:.1f} images/s, {self.step_ms:.0f} ms a step, "
            f"{self.waiting:.0%} of it waiting for data, {self.peak_memory_mb:.0f} MB at most"
        ]
        share = "" if self.peak_share is None else f", {self.peak_share:.1%} of the GPU's peak"
        lines.append(f"{self.teraflops:.3g} TFLOP/s{share}")
        if self.loading_ms is not None:
            lines.append(f"{self.loading_ms:.1f} ms of a core load a pair.")
        if self.busy is not None:
            lines.append(f"The GPU computes {self.busy:.0%} of the time.")
        lines += [f"{share:6.1%}  {name}" for name, share in self.costliest]
        return "\n".join(lines)


def measure(config: TrainConfig) -> Speed:
    """Time steps of a run that is set up as train.py sets it up, and thrown away."""
    accelerator = make_accelerator(replace(config, log_with="none"))
    set_seed(config.seed)
    config = as_made_for(config)
    frozen = FrozenNetworks(config, load_base(config.identity_model), accelerator.device)
    networks = Networks(config, accelerator.device)
    networks.prepare(accelerator)
    loader = make_loader(accelerator, config, open_shards(accelerator, config))
    batches = iter(loader)
    waited = loaded = 0.0

    def steps(count: int) -> float:
        """Seconds of so many steps."""
        nonlocal waited, loaded
        waited, loaded, begun = 0.0, 0.0, time.perf_counter()
        for number in range(count):
            asked = time.perf_counter(), time.process_time()
            drawn = [next(batches) for _ in range(config.accumulation)]
            waited += time.perf_counter() - asked[0]
            loaded += time.process_time() - asked[1]
            pairs = [Pairs.of(batch, accelerator.device) for batch in drawn]
            step = config.discriminator_from + number
            train_step(accelerator, config, step, pairs, networks, frozen)
        wait_for_gpu()
        return time.perf_counter() - begun

    steps(WARM_UP)
    with FlopCounterMode(display=False) as counter:
        steps(COUNTED)
    seconds = steps(TIMED)
    share_waiting, loading = waited / seconds, loaded
    teraflops = counter.get_total_flops() / COUNTED * TIMED / seconds / 1e12
    with profile(activities=activities()) as profiler:
        profiled_seconds = steps(PROFILED)
    busy, costliest = costs(profiler, profiled_seconds)
    images = config.batch_size * config.accumulation * TIMED
    return Speed(
        device=device_name(),
        precision="fp32" if accelerator.mixed_precision == "no" else accelerator.mixed_precision,
        images_per_second=images / seconds,
        step_ms=1000 * seconds / TIMED,
        waiting=share_waiting,
        loading_ms=None if config.num_workers else 1000 * loading / images,
        teraflops=teraflops,
        peak_share=_peak_share(teraflops, accelerator.mixed_precision),
        peak_memory_mb=peak_memory_mb(),
        busy=busy,
        costliest=costliest,
    )


def activities() -> list[ProfilerActivity]:
    """What a profiler watches here."""
    cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    return [ProfilerActivity.CPU, *cuda]


def costs(profiler: profile, seconds: float) -> tuple[float | None, tuple[tuple[str, float], ...]]:
    """Share of the time that a GPU computes, and the five costliest operations by own time."""
    on_gpu = torch.cuda.is_available()
    times = {
        event.key: event.self_device_time_total if on_gpu else event.self_cpu_time_total
        for event in profiler.key_averages()
    }
    total = sum(times.values())
    ranked = sorted(times.items(), key=lambda item: -item[1])[:5]
    busy = total / 1e6 / seconds if on_gpu else None
    return busy, tuple((name, spent / total) for name, spent in ranked)


def _peak_share(teraflops: float, precision: str) -> float | None:
    if not torch.cuda.is_available() or precision == "no":
        return None
    name = torch.cuda.get_device_name()
    return next((teraflops / peak for words, peak in PEAKS.items() if words in name), None)


def wait_for_gpu() -> None:
    """Until it has computed what it was given; at once where there is none."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def device_name() -> str:
    """What computes, for people."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def peak_memory_mb() -> float:
    """Of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # kilobytes on Linux


def main(arguments: list[str] | None = None) -> int:
    """Print the report; the exit code."""
    logging.basicConfig(level=logging.WARNING)
    try:
        config = parse_config(arguments)
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        print(measure(config).report(config))
    except SimSwapError as error:
        print(f"train.speed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
