"""Photo rows -> batches of source and target, in an order that a seed and a position determine.

Rows are read in blocks from a few shards at a time; within a block they are shuffled and paired.
Each row is a target once in an epoch. Nothing depends on what was read before the block, so a
stream continues from its position as if it had never stopped.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from train.config import PairSettings
from train.data.reduced import decode_to_fit
from train.data.shards import PhotoRow, PhotoShards, decode_photo
from train.errors import CorruptPhotoError, TrainingError
from train.pairing.alignment import (
    align_another_view,
    align_source,
    align_target,
    coverage,
    enlargement,
)
from train.pairing.augmentation import vary_picture
from train.pairing.blocks import Block, Draw, Position
from train.pairing.pasting import CANDIDATES, beard_of, fits, paste_lower_face

logger = logging.getLogger(__name__)

MAX_DRAWS = 50  # of a source, before a target is given up
TARGET_PICTURE, SOURCE_PICTURE, PASTED = 1, 2, 3  # purposes that have chance of their own


@dataclass(frozen=True, eq=False)
class PairBatch:
    """targets: [B, S, S, 3], sources: [B, 112, 112, 3] (ArcFace alignment), both uint8 RGB.

    same: each source shows the person of its target. position: of the stream after this batch.
    skipped: rows passed over on the way, by reason; notice: the first of them that is corrupt.
    inputs: as targets, what the generator gets in their place, where it is to undo a change.
    """

    targets: Tensor
    sources: Tensor
    same: bool
    position: Position
    skipped: Counter[str]
    notice: str = ""
    inputs: Tensor | None = None

    def pin_memory(self) -> PairBatch:
        """The same batch where a GPU can fetch it without waiting; DataLoader calls this."""
        pinned = {
            name: value.pin_memory() for name, value in vars(self).items() if torch.is_tensor(value)
        }
        return replace(self, **pinned)


class PairStream:
    """One of `num_streams` disjoint, endless streams of pairs over the same shards."""

    num_sets = 0  # that positions tell apart

    def __init__(
        self, shards: PhotoShards, settings: PairSettings, stream: int = 0, num_streams: int = 1
    ) -> None:
        self.shards = shards
        self.settings = settings
        self.stream = stream
        self.num_streams = num_streams
        # With fewer shards than streams, each shard is dealt out in parts.
        self._num_parts = -(-num_streams // shards.num_shards)

    def batches(self, position: Position, kinds: Iterator[bool]) -> Iterator[PairBatch]:
        """Endless batches from `position` on; `kinds` says of each whether it is same-identity.

        Raises TrainingError if a whole epoch does not fill one batch, or if `position` is one in
        other data sets.
        """
        _check_sets(position, self.num_sets)
        skipped: Counter[str] = Counter()
        notice = ""
        same, pairs = next(kinds), []
        size = self.settings.batch_size
        num_pasted = round(self.settings.pasted * size)
        num_usable = 0 if position == Position(position.epoch) else size
        for draw in self.draws(position):
            if draw is None:
                self._check_epoch(num_usable, skipped)
                num_usable = 0
                continue
            try:
                pair = self._pair(draw, same, skipped, same and len(pairs) >= size - num_pasted)
            except CorruptPhotoError as error:
                skipped["corrupt"] += 1
                notice = notice or str(error)
                continue
            if pair is None:
                continue
            pairs.append(pair)
            num_usable += 1
            if len(pairs) == size:
                targets, sources, inputs = map(_stacked, zip(*pairs, strict=True))
                inputs = inputs if same and num_pasted else None
                yield PairBatch(targets, sources, same, draw.after, skipped, notice, inputs)
                same, pairs, skipped, notice = next(kinds), [], Counter(), ""

    def draws(self, position: Position) -> Iterator[Draw | None]:
        """Targets from `position` on, endlessly; None where all of an epoch's have been drawn."""
        for block, place in self._blocks(position):
            if block is None:
                yield None
                continue
            for drawn, index in list(enumerate(block.order))[place.drawn :]:
                yield Draw(block, int(index), replace(place, drawn=drawn + 1), (block,))

    def _blocks(self, start: Position) -> Iterator[tuple[Block | None, Position]]:
        """Blocks with the position of their first row (`start` itself first); None: epoch done."""
        for epoch in itertools.count(start.epoch):
            groups = self._groups(epoch)
            for group in range(start.group, len(groups)):
                for number, rows in self._chunks(groups[group], start.block):
                    key = (self.settings.seed, epoch, self.stream, group, number)
                    yield Block(rows, key), replace(start, epoch=epoch, group=group, block=number)
                    start = Position(epoch, group)
                start = Position(epoch)
            start = Position(epoch + 1)
            yield None, start

    def _groups(self, epoch: int) -> list[list[tuple[int, int]]]:
        """This stream's shards of an epoch as (shard, part), in the order they are read."""
        count = self.shards.num_shards * self._num_parts
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(count)
        mine = [divmod(int(number), self._num_parts) for number in order]
        mine = mine[self.stream :: self.num_streams]
        size = self.settings.mix_shards
        return [mine[first : first + size] for first in range(0, len(mine), size)]

    def _chunks(
        self, group: list[tuple[int, int]], first: int
    ) -> Iterator[tuple[int, list[PhotoRow]]]:
        """Blocks `first`, `first` + 1, ... of a group: as many rows from each of its shards."""
        share = max(self.settings.block_rows // len(group), 1)
        readers = [
            self.shards.rows(shard, first * share, part, self._num_parts) for shard, part in group
        ]
        for number in itertools.count(first):
            rows = [row for reader in readers for row in itertools.islice(reader, share)]
            if not rows:
                return
            yield number, rows

    def _pair(
        self, draw: Draw, same: bool, skipped: Counter[str], pasted: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Crops of target, source and input, or None, counted, if the row cannot be a target."""
        settings, row = self.settings, draw.block.rows[draw.index]
        if row.landmarks is None:
            skipped["without landmarks"] += 1
            return None
        if not draw.has_others:
            skipped["only one person in the block"] += 1
            return None
        whole = (decode_photo(row), row.landmarks) if pasted else None
        photo, landmarks = whole or self._decoded(row, settings.crop_size)
        if coverage(photo.shape, landmarks, settings.crop_template) < settings.min_coverage:
            skipped["cut off by the photo's border"] += 1
            return None
        random, augmentation = draw.block.random_for(draw.index), settings.augmentation
        given = _with_anothers_lower_face(draw, photo, settings) if pasted else photo
        target = self._target(draw, photo, landmarks, random)
        if same and draw.block.other_photo(draw.index, random) is None:
            source = align_another_view(
                photo, landmarks, settings.identity_template, random, augmentation
            )
        else:
            source = self._source(draw, same, random)
        if source is None:
            skipped["no usable source"] += 1
            return None
        # Chance of its own: who is paired with whom must not depend on what happens to pictures.
        chance = draw.block.random_for(draw.index, SOURCE_PICTURE)
        if augmentation.changes_pictures:
            source = vary_picture(source, chance, augmentation, augmentation.sources)
        if given is photo:
            return target, source, target
        random = draw.block.random_for(draw.index)
        return target, source, self._target(draw, given, landmarks, random)

    def _decoded(self, row: PhotoRow, crop_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo and landmarks, as large as crops need; crop_size 0: an identity crop alone."""
        settings = self.settings
        templates = settings.crop_template, crop_size, settings.identity_template
        jittered = 1 + settings.augmentation.scale
        return decode_to_fit(row, jittered * enlargement(row.landmarks, *templates))

    def _target(
        self, draw: Draw, photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator
    ) -> np.ndarray:
        """The generator's crop: the same of two photos if chance is at the same point."""
        settings = self.settings
        crop = align_target(
            photo,
            landmarks,
            settings.crop_template,
            settings.crop_size,
            random,
            settings.augmentation,
        )
        if not settings.augmentation.changes_pictures:
            return crop
        chance = draw.block.random_for(draw.index, TARGET_PICTURE)
        return vary_picture(crop, chance, settings.augmentation)

    def _source(self, draw: Draw, same: bool, random: np.random.Generator) -> np.ndarray | None:
        block = draw.block
        for _ in range(MAX_DRAWS):
            if same:
                row = block.rows[block.other_photo(draw.index, random)]
            else:
                row = draw.other_person(random, self.settings.photos_per_person)
            if row.landmarks is None:
                continue
            try:
                template = self.settings.identity_template
                return align_source(*self._decoded(row, 0), template)
            except CorruptPhotoError:
                continue  # it is counted when it is a target itself
        return None

    def _check_epoch(self, num_usable: int, skipped: Counter[str]) -> None:
        if num_usable >= self.settings.batch_size:
            return
        raise TrainingError(
            f"Only {num_usable} of this process's photos can be targets, fewer than a batch of "
            f"{self.settings.batch_size} (passed over: {reasons_for(skipped)}). Use more photos of "
            f"at least two people, or a smaller batch or fewer workers.{landmarks_advice(skipped)}"
        )


def _with_anothers_lower_face(draw: Draw, photo: np.ndarray, settings: PairSettings) -> np.ndarray:
    """The photo with the beard, or the lack of one, of somebody whose face fits; else itself."""
    random = draw.block.random_for(draw.index, PASTED)
    landmarks = draw.block.rows[draw.index].landmarks
    made: list[tuple[float, np.ndarray]] = []
    own = beard_of(photo, landmarks)
    for _ in range(MAX_DRAWS):
        row = draw.other_person(random, settings.photos_per_person)
        if row.landmarks is None or not fits(landmarks, row.landmarks):
            continue
        try:
            other = decode_photo(row)
        except CorruptPhotoError:
            continue
        pasted = paste_lower_face(photo, landmarks, other, row.landmarks)
        if pasted is not None:
            apart = abs(np.log(beard_of(other, row.landmarks) / own))
            made.append((float(apart), pasted))
        if len(made) == CANDIDATES:
            break
    return max(made, key=lambda pair: pair[0])[1] if made else photo


def _check_sets(position: Position, num_sets: int) -> None:
    if position == Position(position.epoch) or len(position.sets) == num_sets:
        return
    raise TrainingError(
        f"The checkpoint was made with {max(len(position.sets), 1)} data sets, now there are "
        f"{max(num_sets, 1)}. Resume with the same --data and --data-weights, or begin a new run "
        "with --init-from."
    )


def reasons_for(skipped: Counter[str]) -> str:
    """How many photos were passed over, and why, for a message."""
    return ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "none"


def say_corrupt(notice: str) -> None:
    """Name the first photo that is corrupt; further ones are only counted."""
    logger.warning("A photo is skipped: %s Further ones are only counted.", notice)


def landmarks_advice(skipped: Counter[str]) -> str:
    """A sentence more for such a message, where it is landmarks that are missing."""
    command = "`python -m train.prepare`"
    return f" Run {command} to find the landmarks." if skipped["without landmarks"] else ""


def _stacked(crops: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(crops))
