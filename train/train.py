"""Train a SimSwap generator: `accelerate launch train/train.py --config lite-128`.

`--config` takes a preset or a TOML file, and every setting is a flag (`--help`). The run's folder
gets `bundle/`, which the demo loads as it is, checkpoints for `--resume`, sample grids and logs.
"""

from __future__ import annotations

import errno
import json
import logging
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

# As a script, Python puts train/ first on the path, where this file hides the package `train`.
ROOT = Path(__file__).resolve().parents[1]
sys.path[:] = [str(ROOT), *(path for path in sys.path if Path(path).resolve() != ROOT / "train")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from accelerate import Accelerator, PartialState  # noqa: E402
from accelerate.utils import reduce, set_seed  # noqa: E402

from simswap.errors import SimSwapError  # noqa: E402
from train.command_line import parse_config  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.loop.checkpoints import (  # noqa: E402
    check_architecture,
    find_checkpoint,
    load_checkpoint,
    prepare_checkpoints,
    save_checkpoint,
)
from train.loop.evaluating import Evaluator  # noqa: E402
from train.loop.monitor import SAMPLES_FOLDER, LossWatch, Progress, write_samples  # noqa: E402
from train.loop.setup import (  # noqa: E402
    METRICS_FILE,
    fixed_pairs,
    make_accelerator,
    make_loader,
    make_output_folder,
    open_shards,
    start_trackers,
)
from train.loop.steps import Pairs, train_step  # noqa: E402
from train.loop.stopping import STOPPED, StopRequest  # noqa: E402
from train.loop.writing import Writer  # noqa: E402
from train.networks.teachers import load_base  # noqa: E402
from train.networks.trained import FrozenNetworks, Networks, as_made_for  # noqa: E402
from train.pairing.cached_pairs import CachedPairLoader  # noqa: E402
from train.pairing.loader import PairLoader  # noqa: E402
from train.publish.publisher import Publisher  # noqa: E402

logger = logging.getLogger("train")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(config: TrainConfig, stop: StopRequest) -> bool:
    """Everything that can fail early, then the loop, then the end. Raises SimSwapError.

    Returns whether the run came to its last step; else it was asked to stop.
    """
    accelerator = make_accelerator(config)
    config = as_made_for(config)
    output = Path(config.output)
    checkpoint = find_checkpoint(config.resume, output)
    if checkpoint:
        check_architecture(checkpoint, config)
    elif config.resume:
        logger.info("There is no checkpoint in %s yet: the run begins anew.", output)
    start = checkpoint.step if checkpoint else 0
    make_output_folder(accelerator, config, start)
    set_seed(config.seed)
    torch.backends.cudnn.benchmark = True  # all crops have one size: its fastest kernels, once
    logger.info("Mixed precision: %s", accelerator.mixed_precision)

    frozen = FrozenNetworks(config, load_base(config.identity_model), accelerator.device)
    networks = Networks(config, accelerator.device)
    networks.prepare(accelerator)
    prepare_checkpoints(accelerator)
    shards = open_shards(accelerator, config)
    fixed = fixed_pairs(config, shards, accelerator.device)  # also finds unusable data
    evaluator = Evaluator(accelerator, config) if config.eval_data else None
    is_main = accelerator.is_main_process
    publisher = Publisher(accelerator, config, networks, frozen) if is_main else None
    start_trackers(accelerator, config)

    state = load_checkpoint(accelerator, checkpoint, networks) if checkpoint else None
    loader = make_loader(accelerator, config, shards, state)
    run = Run(accelerator, config, networks, frozen, loader, evaluator, publisher, fixed, stop)
    logger.info("Training from step %d to %d in %s", start, config.num_steps, output)
    is_whole = run.train(start)
    for tracker in accelerator.trackers:
        tracker.finish()
    return is_whole


class Run:
    """The loop and what happens in it every so many steps."""

    def __init__(
        self,
        accelerator: Accelerator,
        config: TrainConfig,
        networks: Networks,
        frozen: FrozenNetworks,
        loader: PairLoader | CachedPairLoader,
        evaluator: Evaluator | None,
        publisher: Publisher | None,
        fixed: Pairs,
        stop: StopRequest,
    ) -> None:
        self.accelerator, self.config = accelerator, config
        self.networks, self.frozen, self.loader = networks, frozen, loader
        self.evaluator, self.publisher, self.fixed = evaluator, publisher, fixed
        self.watch, self.stop, self.writer = LossWatch(), stop, Writer()
        self.output = Path(config.output)

    def train(self, start: int) -> bool:
        """Steps `start` to the last (True), or until somebody asks the run to stop."""
        self.stop.begin()
        with closing(Progress(self.accelerator, self.config, start)) as progress:
            step = self.steps(start, progress)
        self.writer.settle(self.accelerator)
        is_whole = step >= self.config.num_steps
        if self.publisher:  # a preempted node has little time left
            self.publisher.close(timeout=600 if is_whole else 10)
        self.accelerator.wait_for_everyone()  # launchers end all once the first process ends
        return is_whole

    def steps(self, start: int, progress: Progress) -> int:
        """The loop itself; the number of the step after which it ended."""
        config, accelerator = self.config, self.accelerator
        batches = iter(self.loader)
        step = start
        if step == 0:
            self.evaluate(step)
        while step < config.num_steps:
            rate = learning_rate(config, step)
            self.networks.set_learning_rates(rate, rate * config.discriminator_rate)
            if step >= config.freeze_batch_norms_from:
                self.networks.freeze_batch_norms()
            pairs = [
                Pairs.of(next(batches), accelerator.device) for _ in range(config.accumulation)
            ]
            losses = train_step(accelerator, config, step, pairs, self.networks, self.frozen)
            self.watch.record(step, pairs[0].same, losses)
            step += 1
            progress.advance()
            is_last = step == config.num_steps or self.stop.is_made(accelerator, step)
            self.report(step, is_last, progress, pairs[0])
            if is_last and step < config.num_steps:
                logger.info("Stopped at step %d; --resume goes on from there.", step)
                break
        return step

    def report(self, step: int, is_last: bool, progress: Progress, pairs: Pairs) -> None:
        """What is due after `step`; at the end of a run, everything.

        A run that was asked to stop saves first: a preempted node may have seconds left.
        """
        config = self.config
        if is_last and step < config.num_steps:
            self.save(step)
            self.log(step, progress)
            self.push(step)
            return
        if step % config.log_every == 0 or is_last:
            self.log(step, progress)
        if step % config.sample_every == 0 or is_last:
            self.sample(step, pairs)
        if step % config.evaluate_every == 0 or is_last:
            self.evaluate(step)
        if step % config.save_every == 0 or is_last:
            self.save(step)
        if step % config.push_every == 0 or is_last:
            self.push(step)

    @property
    def images_per_step(self) -> int:
        """Pairs that all processes see in one step."""
        return self.config.batch_size * self.config.accumulation * self.accelerator.num_processes

    def log(self, step: int, progress: Progress) -> None:
        """Scalars, averaged over the processes, to the tracker and to metrics.jsonl."""
        self.watch.settle()
        means = self.watch.means()
        if means:
            values = torch.tensor([*means.values()], device=self.accelerator.device)
            means = dict(zip(means, reduce(values, "mean").tolist(), strict=True))
        scalars = means | progress.report(step, means)
        scalars["learning_rate"] = learning_rate(self.config, step - 1)
        scalars |= {f"skipped/{name}": float(n) for name, n in self.loader.skipped.items()}
        self.write_scalars(scalars, step)

    def write_scalars(self, scalars: dict[str, float], step: int) -> None:
        """To the tracker, and a line of metrics.jsonl for whoever has none."""
        self.accelerator.log(scalars, step=step)
        if self.accelerator.is_main_process:
            with (self.output / METRICS_FILE).open("a") as file:
                file.write(json.dumps({"step": step} | scalars) + "\n")

    def sample(self, step: int, pairs: Pairs) -> None:
        """Fixed pairs, the same throughout a run, and those of this step."""
        if self.publisher:
            self.publisher.samples = write_samples(
                self.accelerator,
                self.output / SAMPLES_FOLDER,
                step,
                self.networks.ema.generator,
                self.frozen.embed_sources,
                {"fixed": self.fixed, "random": pairs},
            )

    def save(self, step: int) -> None:
        """A checkpoint and the bundle; never of losses that have not been looked at.

        Both are copied now and written while training goes on. What could not be written is told
        by the next call, or at the end.
        """
        self.watch.settle()
        self.networks.check_finite(step)
        state = self.loader.state
        save_checkpoint(self.accelerator, self.config, self.networks, state, step, self.writer)
        if self.publisher:
            self.writer.submit(self.publisher.write(step, step * self.images_per_step))

    def push(self, step: int) -> None:
        """Send the newest bundle off, once it is written."""
        if self.publisher:
            self.writer.submit(partial(self.publisher.push, step))

    def evaluate(self, step: int) -> None:
        """Judge the moving average through the whole pipeline."""
        if self.evaluator:
            generator = self.networks.ema.generator
            scalars, markdown = self.evaluator.evaluate(generator, self.frozen.base)
            self.write_scalars(scalars, step)
            if self.publisher:
                self.publisher.evaluation = f"After step {step:,}.\n\n{markdown}"
                self.publisher.figures = scalars


def learning_rate(config: TrainConfig, step: int) -> float:
    """Rising while it warms up, constant, then a half cosine down to the final rate."""
    share = (step / config.num_steps - config.decay_from) / max(1 - config.decay_from, 1e-9)
    fall = (1 - np.cos(np.pi * np.clip(share, 0, 1))) / 2
    rates = config.learning_rate, config.final_learning_rate
    warmth = min((step + 1) / max(config.warmup_steps, 1), 1)
    return float(warmth * (rates[0] + fall * (rates[1] - rates[0])))


def run_from_shell(arguments: list[str] | None = None) -> int:
    """Train; the exit code, STOPPED if asked to stop. A person's mistakes end in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for talkative in ("accelerate", "httpx"):  # every file of a checkpoint, every request of a push
        logging.getLogger(talkative).setLevel(logging.WARNING)
    try:
        config = parse_config(arguments)
        stop = StopRequest()
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        is_whole = main(config, stop)
        # Only now that no network is left: the last one would end the group's threads itself, and
        # wait for them while it holds the interpreter's lock, for which they may be waiting.
        PartialState().destroy_process_group()
        if not is_whole:
            return STOPPED
    except SimSwapError as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        print(
            f"train: The disk of {config.output} is full ({error.strerror}). Free some space, and "
            "continue with --resume.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_from_shell())
