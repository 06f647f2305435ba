"""Writes a run's bundle, and pushes it where that is asked for."""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

import accelerate
import torch
from accelerate import Accelerator

from simswap import __version__
from simswap.weights.bundle import DEFAULT_BUNDLE
from train.config import TrainConfig
from train.data.sources import find_files, split_at_commas
from train.networks.teachers import BUNDLED
from train.networks.trained import FrozenNetworks, Networks
from train.publish.bundle import write_bundle
from train.publish.hub import HubPusher
from train.publish.model_card import CardFacts, NetworkFacts, describe_networks, model_card
from train.publish.run_folder import BUNDLE_FOLDER, FACTS

logger = logging.getLogger(__name__)


class Publisher:
    """Writes the bundle, and pushes it where a run asks for that. Lives in the main process."""

    def __init__(
        self,
        accelerator: Accelerator,
        config: TrainConfig,
        networks: Networks,
        frozen: FrozenNetworks,
    ) -> None:
        """Raises TrainingError at once if the Hub repository cannot be written to."""
        self._accelerator, self._config = accelerator, config
        self._networks, self._frozen = networks, frozen
        self.folder = Path(config.output) / BUNDLE_FOLDER
        self.evaluation, self.figures = "", dict[str, float]()
        self.samples: bytes | None = None
        self._pusher = (
            HubPusher(config.hub_model_id, private=config.hub_private)
            if config.push_to_hub
            else None
        )

    def write(self, step: int, num_images: int) -> Callable[[], None]:
        """What replaces the bundle in the run's folder by the moving average as it is now.

        step: after which that is; num_images: seen until then. The call may come later, from
        another thread, and raises TrainingError if the bundle cannot be written.
        """
        config = self._config
        facts: dict[str, object] = {name: asdict(config)[name] for name in (*FACTS, "accumulation")}
        return partial(
            write_bundle,
            self.folder,
            # A copy: the bundle's weights are stored as they are now.
            generator=copy.deepcopy(self._networks.ema.generator).cpu(),
            base=self._frozen.base,
            alignment=config.alignment,
            training=facts
            | {
                "steps_done": step,
                "data": public_data(config),
                "teachers": [public_name(teacher) for teacher in config.teachers],
                "targets_keep_glasses": bool(config.glasses),
            },
            licence=config.licence,
            card=self._card(step, num_images, facts["weights"]),
            name=config.name,
            samples=self.samples,
        )

    def push(self, step: int) -> None:
        """Send the bundle off, in the background."""
        if self._pusher:
            self._pusher.push(self.folder, f"Step {step}")

    def close(self, timeout: float) -> None:
        """Wait for the last push, so many seconds at most."""
        if self._pusher and not self._pusher.close(timeout):
            logger.warning(
                "The last push to %s did not arrive; the bundle is in %s.",
                self._config.hub_model_id,
                self.folder,
            )

    @cached_property
    def _described(self) -> tuple[NetworkFacts, ...]:
        """Counting operations takes a second or so, and they stay the same throughout a run."""
        return describe_networks(
            self._networks.ema.generator, self._frozen.base, self._config.crop_size
        )

    @cached_property
    def _dataset_ids(self) -> tuple[str, ...]:
        sources = sources_of(self._config)
        return tuple(one for one in sources if "/" in one and find_files(one).kind == "hub")

    @cached_property
    def _settings(self) -> dict[str, object]:
        config, processes = self._config, self._accelerator.num_processes
        device = self._accelerator.device
        hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        return {
            "Learning rate": f"{config.learning_rate:g}, Adam {config.adam_betas}",
            "Pairs a step": config.batch_size * config.accumulation * processes,
            "Precision": self._accelerator.mixed_precision,
            "Hardware": f"{processes} x {hardware}",
            "Versions": f"simswap {__version__}, torch {torch.__version__}, "
            f"accelerate {accelerate.__version__}",
            "Command": f"`train/train.py {' '.join(map(public_word, sys.argv[1:]))}`",
        }

    def _card(self, step: int, num_images: int, weights: Mapping[str, object]) -> str:
        config = self._config
        facts = CardFacts(
            name=config.name,
            licence=config.licence,
            networks=self._described,
            crop_size=config.crop_size,
            repo_id=config.hub_model_id,
            data=public_data(config),
            num_steps=step,
            num_images=num_images,
            losses=weights,
            dataset_ids=self._dataset_ids,
            teachers=tuple(public_name(teacher) for teacher in config.teachers),
            settings=self._settings,
            evaluation=self.evaluation,
            evaluated_on=f"{public_name(config.eval_data)}, {config.eval_pairs} pairs at most",
            figures=self.figures,
            has_samples=self.samples is not None,
        )
        return model_card(facts)


def public_data(config: TrainConfig) -> str:
    """What a bundle tells of a run's data."""
    return ", ".join(map(public_name, sources_of(config)))


def sources_of(config: TrainConfig) -> list[str]:
    """The data sets of a run."""
    return split_at_commas(config.data) if config.data_weights else [config.data]


def public_word(word: str) -> str:
    """A word of a command line, whose values are made public by `public_name`."""
    flag, equals, value = word.rpartition("=") if word.startswith("--") else ("", "", word)
    return flag + equals + ",".join(map(public_name, value.split(",")))


def public_name(source: str) -> str:
    """What a bundle tells of a data set or a network: never where it lies on this machine."""
    if source == BUNDLED:
        return DEFAULT_BUNDLE.name
    if Path(source).is_file():
        return Path(source).stem
    is_local = Path(source).exists() or source.startswith((".", "/", "~"))
    return Path(source).name if is_local else source
