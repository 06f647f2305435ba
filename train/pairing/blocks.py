"""Rows that are paired among themselves, and where a stream of them stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.data.shards import PhotoRow


@dataclass(frozen=True)
class Position:
    """How far a stream has come."""

    epoch: int = 0
    group: int = 0  # of shards, in the stream's order of that epoch
    block: int = 0  # within the group
    drawn: int = 0  # rows of that block, in its shuffled order
    sets: tuple[Position, ...] = ()  # of several data sets; then `drawn` counts all their rows

    @classmethod
    def from_json(cls, stored: dict) -> Position:
        """What `asdict` gave."""
        sets = tuple(cls.from_json(one) for one in stored.get("sets", ()))
        return cls(**stored | {"sets": sets})


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows that are paired among themselves; `key` seeds all that is random about them."""

    rows: Sequence[PhotoRow]
    key: tuple[int, ...]

    def __post_init__(self) -> None:
        # An unlabelled photo is its own identity.
        names = [row.identity or ("unlabelled", i) for i, row in enumerate(self.rows)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        persons = np.array([numbers[name] for name in names])
        object.__setattr__(self, "_persons", persons)
        object.__setattr__(self, "_counts", np.bincount(persons)[persons])
        object.__setattr__(self, "_by_person", np.argsort(persons, kind="stable"))

    @property
    def order(self) -> np.ndarray:
        """The rows' shuffled order."""
        return np.random.default_rng(self.key).permutation(len(self.rows))

    @property
    def num_people(self) -> int:
        """Different identities."""
        return int(self._persons.max()) + 1

    def random_for(self, index: int, *purpose: int) -> np.random.Generator:
        """The source of chance for row `index` as a target, whatever was drawn before."""
        return np.random.default_rng((*self.key, index, *purpose))

    def other_photo(self, index: int, random: np.random.Generator) -> int | None:
        """Another row of the same person, or None if this block has none."""
        count = int(self._counts[index])
        if count < 2:
            return None
        first = int(np.searchsorted(self._persons[self._by_person], self._persons[index]))
        others = self._by_person[first : first + count]
        return int(random.choice(others[others != index]))

    def other_person(self, index: int | None, random: np.random.Generator, cap: int) -> int:
        """A row of somebody else; people with more than `cap` rows count as if they had `cap`.

        index: of the one who is meant; None: of nobody in this block.
        """
        shares = np.minimum(1, cap / self._counts)
        if index is not None:
            shares = shares * (self._persons != self._persons[index])
        steps = np.cumsum(shares)
        return int(np.searchsorted(steps, random.random() * steps[-1], side="right"))


@dataclass(frozen=True, eq=False)
class Draw:
    """A row to be a target, and whence its source may come.

    after: the stream's position once it is drawn. sources: blocks, `block` among them or not, and
    each one's share of the sources that show somebody else.
    """

    block: Block
    index: int
    after: Position
    sources: tuple[Block, ...]
    shares: tuple[float, ...] = (1.0,)

    @property
    def has_others(self) -> bool:
        """Whether there is a source that shows somebody else."""
        return any(block is not self.block or block.num_people > 1 for block in self.sources)

    def other_person(self, random: np.random.Generator, cap: int) -> PhotoRow:
        """A row of somebody else; see Block.other_person."""
        usable = [
            (block, share)
            for block, share in zip(self.sources, self.shares, strict=True)
            if block is not self.block or block.num_people > 1
        ]
        block = usable[0][0]
        if len(usable) > 1:  # with one data set chance is spent on nothing else
            steps = np.cumsum([share for _, share in usable])
            block = usable[int(np.searchsorted(steps, random.random() * steps[-1], "right"))][0]
        own = self.index if block is self.block else None
        return block.rows[block.other_person(own, random, cap)]
