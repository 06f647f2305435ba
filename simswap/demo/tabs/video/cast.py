"""Who of a video's people is swapped, and with whom: those whom the preview has shown.

The strip below the preview grows with everybody who is new in a frame. What tells them apart, their
embeddings, stays on the server until another video comes, or the page has been idle for long.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simswap.demo.services.photos import Person, Role, Roles, left_to_right
from simswap.demo.services.videos import MOST_TOLD_APART, Preview
from simswap.demo.tabs import face_strip, people
from simswap.faces.looks import SAME_PERSON_COSINE


@dataclass(frozen=True, eq=False)
class Seen:
    """The people of a video whom the preview has shown, by the numbers that the strip gives them.

    path: the video's. model: whose embeddings they are, each [512] unit norm. pictures: data URIs,
    for the strip.
    """

    path: str
    model: str
    embeddings: tuple[np.ndarray, ...] = ()
    pictures: tuple[str, ...] = ()


def put_in(
    tray: object, strip: dict, seen: Seen | None, path: str | None, model: str
) -> tuple[list[Person], Roles]:
    """Whose photos are read, and who of those seen gets which of them.

    Until a visitor chooses otherwise, everybody gets the one who is open in the tray.
    Raises OptionError if nobody is left to be swapped.
    """
    open_one = people.chosen_of(tray)
    if seen is None or (seen.path, seen.model) != (path, model) or not seen.embeddings:
        return [open_one], None
    given = people.all_of(tray)
    picked = face_strip.picked(strip, path)
    who = face_strip.assigned(strip, path, list(given)) if strip.get("isMapped") else None
    if picked == "all" and who is None:
        return [open_one], None
    everybody = range(len(seen.embeddings))
    numbers = everybody if picked == "all" else map(int, picked.split(","))
    chosen = {face: list(given.values())[place] for face, place in (who or {}).items()}
    wanted = {number: chosen.get(number, open_one) for number in numbers if number in everybody}
    present = [person for person in given.values() if person in wanted.values()]
    roles = [Role(seen.embeddings[face], present.index(one)) for face, one in wanted.items()]
    return present, roles


def with_new(
    seen: Seen | None, strip: dict, path: str, model: str, preview: Preview
) -> tuple[Seen, dict[str, object] | None]:
    """Those seen until now and in a frame; the strip of all of them, or None if nobody is new.

    Who is new is swapped if all others are.
    """
    if seen is None or (seen.path, seen.model) != (path, model) or strip.get("of") != path:
        seen, strip = Seen(path, model), {**face_strip.EMPTY, "of": path}
    num_before = len(seen.embeddings)
    for number in left_to_right(preview.faces):
        own = preview.embeddings[number]
        is_known = any(one @ own >= SAME_PERSON_COSINE for one in seen.embeddings)
        if not is_known and len(seen.embeddings) < MOST_TOLD_APART:
            picture = face_strip.picture(preview.frame, preview.faces[number])
            seen = Seen(path, model, (*seen.embeddings, own), (*seen.pictures, picture))
    num_seen = len(seen.embeddings)
    if num_seen == num_before:
        return seen, None
    numbers, picked = list(range(num_seen)), strip.get("picked", [])
    if len(picked) == num_before:
        picked = numbers
    return seen, {**strip, "faces": list(seen.pictures), "numbers": numbers, "picked": picked}
