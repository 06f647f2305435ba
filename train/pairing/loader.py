"""Batches of pairs for one process of a run, read and aligned by worker processes."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import torch
from torch.utils.data import IterableDataset, get_worker_info

from simswap.errors import SimSwapError
from train.config import PairSettings, TrainConfig
from train.data.shards import Columns, PhotoShards, open_photos
from train.data.sources import split_at_commas
from train.pairing.blocks import Position
from train.pairing.mixed_pairs import MixedPhotos, stream_of
from train.pairing.pairs import PairBatch, say_corrupt
from train.pairing.workers import items_of

logger = logging.getLogger(__name__)

PREFETCHED = 4  # batches each worker prepares ahead


@dataclass(frozen=True)
class LoaderState:
    """Where one process's loader stands: batches given, and each worker's stream's position."""

    num_streams: int  # of all processes together
    num_batches: int
    positions: tuple[Position, ...]

    def to_json(self) -> dict[str, object]:
        """For a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict) -> LoaderState:
        """What `to_json` gave."""
        positions = tuple(Position.from_json(position) for position in stored["positions"])
        return cls(stored["num_streams"], stored["num_batches"], positions)


def open_data(config: TrainConfig, *, examples_folder: str = "") -> PhotoShards | MixedPhotos:
    """The photos that a run's configuration names; "examples" stands for those made on the spot."""
    columns = Columns(config.image_column, config.identity_column, config.landmarks_column)
    where = {"split": config.split, "revision": config.revision or None}
    if config.data_weights:
        sources = split_at_commas(config.data)
        return MixedPhotos(tuple(open_photos(one, columns, **where) for one in sources))
    return open_photos(examples_folder or config.data, columns, **where)


class PairLoader:
    """Endless batches for process `rank` of `world`; each optimiser step is of one kind.

    Iterate once. `state` always describes the position after the last batch that was given out.
    """

    def __init__(
        self,
        shards: PhotoShards | MixedPhotos,
        settings: PairSettings,
        *,
        rank: int = 0,
        world: int = 1,
        num_workers: int = 0,
        accumulation: int = 1,
        same_every: int = 2,
        state: LoaderState | None = None,
    ) -> None:
        self.num_workers = num_workers
        per_process = max(num_workers, 1)
        self.state = _resumed(state, world * per_process, per_process)
        self.skipped: Counter[str] = Counter()
        self._dataset = _Batches(
            shards, settings, rank * per_process, self.state, accumulation, same_every
        )

    def __iter__(self) -> Iterator[PairBatch]:
        """Raises TrainingError for what is wrong with the data."""
        items = items_of(
            self._dataset,
            self.num_workers,
            prefetch_factor=PREFETCHED,
            pin_memory=torch.cuda.is_available(),
        )
        for batch in items:
            if isinstance(batch, SimSwapError):
                raise batch
            self._record(batch)
            yield batch

    def _record(self, batch: PairBatch) -> None:
        if batch.notice and not self.skipped["corrupt"]:
            say_corrupt(batch.notice)
        self.skipped += batch.skipped
        positions = list(self.state.positions)
        positions[self.state.num_batches % len(positions)] = batch.position
        self.state = LoaderState(
            self.state.num_streams, self.state.num_batches + 1, tuple(positions)
        )


class _Batches(IterableDataset):
    """One worker's share of a process's batches; an error travels as an item, without traceback."""

    def __init__(
        self,
        shards: PhotoShards | MixedPhotos,
        settings: PairSettings,
        first_stream: int,
        state: LoaderState,
        accumulation: int,
        same_every: int,
    ) -> None:
        self.shards = shards
        self.settings = settings
        self.first_stream = first_stream
        self.state = state
        self.accumulation = accumulation
        self.same_every = same_every

    def __iter__(self) -> Iterator[PairBatch | SimSwapError]:
        worker = get_worker_info()
        number = self.state.num_batches + (worker.id if worker else 0)
        num_workers = len(self.state.positions)
        # DataLoader asks worker 0 first; the stream whose turn it is depends on the batches so far.
        turn = number % num_workers
        stream = stream_of(
            self.shards, self.settings, self.first_stream + turn, self.state.num_streams
        )
        numbers = itertools.count(number, num_workers)
        kinds = (number // self.accumulation % self.same_every == 0 for number in numbers)
        try:
            yield from stream.batches(self.state.positions[turn], kinds)
        except SimSwapError as error:
            yield error


def _resumed(state: LoaderState | None, num_streams: int, per_process: int) -> LoaderState:
    if state is None:
        return LoaderState(num_streams, 0, (Position(),) * per_process)
    if (state.num_streams, len(state.positions)) == (num_streams, per_process):
        return state
    epoch = max(position.epoch for position in state.positions) + 1
    logger.warning(
        "The checkpoint was made with %d data streams, now there are %d: the data goes on with "
        "epoch %d. An exact resume needs the same numbers of processes and workers.",
        state.num_streams,
        num_streams,
        epoch,
    )
    return LoaderState(num_streams, state.num_batches, (Position(epoch),) * per_process)
