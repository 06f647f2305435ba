"""Who becomes whom in a video or stream: chosen people and assignments, as track numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simswap.errors import OptionError
from simswap.faces.looks import SAME_PERSON_COSINE
from simswap.faces.people import Person, StreamPeople
from simswap.faces.tracking import Embed
from simswap.swap.selection import Cast, match_people, not_found
from simswap.types import Assignment, Face, FaceChoice, Identity, Source, SwapOptions

Roles = dict[int, int]  # from a track's number to the index of its assignment; 0 for one Identity


def film_roles(
    people: Sequence[Person], source: Source, faces: FaceChoice
) -> tuple[Roles, tuple[str, ...]]:
    """Who of a film's people is swapped, once all of it was seen, and notices.

    people: in the order of their numbers. A reference person may be several of them, of whom no two
    are seen at once: someone whom the tracks did not join.
    Raises OptionError if there is no person of a number that was asked for.
    """
    chosen = _chosen(len(people), faces)
    if isinstance(source, Identity):
        return dict.fromkeys(chosen, 0), ()
    roles: Roles = {}
    for i, one in enumerate(source):
        if one.number is not None:
            _check_number(one.number, len(people))
            roles[one.number] = i
    roles = {number: role for number, role in roles.items() if number in chosen}
    sought = [i for i, one in enumerate(source) if one.reference is not None]
    free = [number for number in chosen if number not in roles]
    cosines = np.full((len(free), len(sought)), -1.0)
    for row, number in enumerate(free):
        for column, i in enumerate(sought):
            cosines[row, column] = people[number].looks.mean @ source[i].reference.embedding
    for pair in np.argsort(-cosines, axis=None, kind="stable"):
        row, column = (int(k) for k in np.unravel_index(pair, cosines.shape))
        number, role = free[row], sought[column]
        if cosines[row, column] < SAME_PERSON_COSINE:
            break
        same = [people[other] for other, given in roles.items() if given == role]
        is_seen_with = any(people[number].shares_a_frame(other) for other in same)
        if number not in roles and not is_seen_with:
            roles[number] = role
    nearest = cosines.max(axis=0, initial=-1)
    notices = tuple(
        not_found(role, float(nearest[column]))
        for column, role in enumerate(sought)
        if role not in roles.values()
    )
    return dict(sorted(roles.items())), notices


def cast_of(roles: Mapping[int, int], source: Source) -> Cast:
    """The identities of roles."""
    given = [source] if isinstance(source, Identity) else [one.identity for one in source]
    return Cast({number: given[role] for number, role in roles.items()})


class StreamCast:
    """Who becomes whom in frames that come one by one. Not to be shared between streams.

    Numbers are those of StreamPeople; "largest" is whoever is foremost there.
    """

    def __init__(self, embed: Embed, source: Source, options: SwapOptions) -> None:
        self._people = StreamPeople(embed)
        self._source, self._faces = source, options.faces

    def next(self, frame: np.ndarray, faces: Sequence[Face]) -> tuple[list[Face], Cast]:
        """The next frame's faces with their track numbers, and who of them becomes whom."""
        found = self._people.numbered(frame, faces)
        there = [face.track for face in found if face.track is not None]
        if self._faces == "largest":
            there = [number for number in there if number == self._people.foremost]
        elif self._faces != "all":
            there = [number for number in there if number in self._faces]
        if isinstance(self._source, Identity) or not there:
            return found, Cast(dict.fromkeys(there, self._source))
        return found, self._assigned(there, self._source)

    def _assigned(self, there: Sequence[int], source: Sequence[Assignment]) -> Cast:
        embeddings = np.stack([self._people.embedding_of(number) for number in there])
        roles, _ = match_people(embeddings, there, source)
        return Cast({number: source[role].identity for number, role in roles.items()})


def _chosen(num_people: int, faces: FaceChoice) -> list[int]:
    if faces == "all":
        return list(range(num_people))
    if faces == "largest":
        return list(range(min(num_people, 1)))
    for number in faces:
        _check_number(number, num_people)
    return sorted(set(faces))


def _check_number(number: int, num_people: int) -> None:
    if number >= num_people:
        raise OptionError(
            f"There is no person number {number}: the video shows {num_people}, numbered from 0, "
            "largest face area first. `python -m simswap people` lists them."
        )
