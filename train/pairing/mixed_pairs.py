"""Pairs from several data sets: how often each gives the target, and how often the source.

Each set is read as if it were alone (pairs.py), so that its photos are targets once in an
epoch of its own; which set gives the next target is drawn. A source that shows somebody else may
come from any set, another photo of the target's person from its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from train.config import PairSettings
from train.data.shards import PhotoShards
from train.pairing.blocks import Draw, Position
from train.pairing.pairs import PairStream


@dataclass(frozen=True, eq=False)
class MixedPhotos:
    """Several data sets, in the order of their weights in PairSettings."""

    sets: tuple[PhotoShards, ...]


def stream_of(
    photos: PhotoShards | MixedPhotos, settings: PairSettings, stream: int = 0, num_streams: int = 1
) -> PairStream:
    """One of `num_streams` disjoint streams of pairs over one data set or several."""
    if isinstance(photos, MixedPhotos):
        return MixedPairStream(photos.sets, settings, stream, num_streams)
    return PairStream(photos, settings, stream, num_streams)


class MixedPairStream(PairStream):
    """A stream of pairs over several data sets, by weight; see PairStream."""

    def __init__(
        self,
        sets: Sequence[PhotoShards],
        settings: PairSettings,
        stream: int = 0,
        num_streams: int = 1,
    ) -> None:
        self.settings, self.stream, self.num_sets = settings, stream, len(sets)
        rows = max(settings.block_rows // len(sets), 1)
        self._streams = [
            PairStream(shards, replace(settings, block_rows=rows, seed=seed), stream, num_streams)
            for shards, seed in zip(sets, _seeds(settings.seed, len(sets)), strict=True)
        ]
        self._targets = _normalised(settings.data_weights)
        self._sources = _normalised(settings.source_weights or settings.data_weights)

    def draws(self, position: Position) -> Iterator[Draw | None]:
        """Targets from `position` on, endlessly; None where every set has come to an epoch's end.

        A set that gives no targets moves on as often as it gives sources.
        """
        places = list(self._places(position))
        walks = [_Walk(one.draws(at)) for one, at in zip(self._streams, places, strict=True)]
        for number in itertools.count(position.drawn):
            random = np.random.default_rng((self.settings.seed, self.stream, number))
            chosen = int(random.choice(len(walks), p=self._targets))
            draw = walks[chosen].upcoming
            blocks = tuple(walk.upcoming.block for walk in walks)
            moving = random.random(len(walks)) < self._sources
            moving[self._targets > 0] = False
            moving[chosen] = True
            for i in np.flatnonzero(moving):
                places[i] = walks[i].upcoming.after
                walks[i].advance()
            after = Position(
                max(place.epoch for place in places), drawn=number + 1, sets=tuple(places)
            )
            used = np.flatnonzero(self._sources)
            yield Draw(
                draw.block,
                draw.index,
                after,
                tuple(blocks[i] for i in used),
                tuple(self._sources[used].tolist()),
            )
            if all(walks[i].epochs for i in np.flatnonzero(self._targets)):
                for walk in walks:
                    walk.epochs = 0
                yield None

    def _places(self, position: Position) -> tuple[Position, ...]:
        if not position.sets:
            return (Position(position.epoch),) * len(self._streams)
        return position.sets


class _Walk:
    """The draws of one set, of which the next one is known; `epochs` counts those that ended."""

    def __init__(self, draws: Iterator[Draw | None]) -> None:
        self._draws = draws
        self.epochs = 0
        self.advance()
        self.epochs = 0

    def advance(self) -> None:
        while (draw := next(self._draws)) is None:
            self.epochs += 1
        self.upcoming: Draw = draw


def _normalised(weights: Sequence[float]) -> np.ndarray:
    return np.array(weights, float) / sum(weights)


def _seeds(seed: int, count: int) -> list[int]:
    """One for each set: else photos at the same place of two sets would be jittered alike."""
    return np.random.default_rng((seed, count)).integers(0, 2**31, count).tolist()
