"""Whether the people of a video keep their numbers: each switch, to be looked at and counted.

    python tests/measure/videos/identity_switches.py clip.mp4 other.mp4 --sheets FOLDER

Numbers people as the first pass over a video does. Then it embeds each face anew in every third
frame, and prints those that resemble somebody else clearly more than the person whose number they
have. As that is told by the network that numbered them, `--sheets` writes a picture for each clip:
a row a person, faces in the order of time, for the eye to count.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from simswap import FaceSwapper, SwapOptions
from simswap.faces.people import FilmPeople
from simswap.faces.runs import RunTracker
from simswap.media.photos import write_photo
from simswap.swap.stream import StreamOptions
from simswap.types import Face
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames

CLEARLY = 0.1  # of cosine
TILE = 64  # px
TILES_A_ROW = 24


@dataclass
class Glimpse:
    """A face in a frame: its run, embedding ([512] unit norm) and picture ([TILE, TILE, 3])."""

    frame: int
    run: int
    embedding: np.ndarray
    picture: np.ndarray


@dataclass
class Film:
    """A video looked at. num_embedded: faces that the numbering needed."""

    person_of: dict[int, int]
    glimpses: list[Glimpse]
    num_faces: int
    num_embedded: int


def tile(frame: np.ndarray, face: Face, number: int) -> np.ndarray:
    """A face and what is around it, with its frame's number."""
    half = 0.75 * float((face.box[2:] - face.box[:2]).max())
    x, y = face.box.reshape(2, 2).mean(axis=0)
    scale = TILE / (2 * half)
    to_tile = np.array([[scale, 0, (half - x) * scale], [0, scale, (half - y) * scale]])
    picture = cv2.warpAffine(frame, to_tile, (TILE, TILE), flags=cv2.INTER_AREA)
    where = (1, TILE - 3)
    return cv2.putText(picture, str(number), where, cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 0))


def look_at(swapper: FaceSwapper, clip: Path, detect_every: int) -> Film:
    """Number the people of a video, and embed them in between too."""
    num_embedded = num_faces = 0

    def embed(frame: np.ndarray, faces: list[Face]) -> np.ndarray:
        nonlocal num_embedded
        num_embedded += len(faces)
        return swapper.embed(frame, faces)

    info, tracker, film, glimpses = probe_video(clip), RunTracker(), FilmPeople(), []
    frames = read_frames(info, 0, info.num_frames)
    found = swapper.find_faces(frames, SwapOptions(), StreamOptions(detect_every))
    for number, (frame, faces) in enumerate(found):
        runs = tracker.update(number, frame, faces, embed)
        film.add(tracker.taken())
        num_faces += len(faces)
        seen = [(run.number, face) for run, face in zip(runs, faces, strict=True) if run]
        if seen and number % detect_every == 0:
            embeddings = swapper.embed(frame, [face for _, face in seen])
            glimpses += [
                Glimpse(number, run, embedding, tile(frame, face, number))
                for (run, face), embedding in zip(seen, embeddings, strict=True)
            ]
    film.add(tracker.finish())
    person_of = {run: i for i, person in enumerate(film.finish()) for run in person.runs}
    return Film(person_of, glimpses, num_faces, num_embedded)


def told(name: str, film: Film) -> str:
    """A clip's figures, and a line for each face that may have another's number."""
    rows = defaultdict(list)
    for one in film.glimpses:
        rows[film.person_of.get(one.run)].append(one.embedding)
    people = [number for number in sorted(rows, key=str) if number is not None]
    means = np.stack([np.mean(rows[number], axis=0) for number in people])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    doubts = []
    for one in film.glimpses:
        number = film.person_of.get(one.run)
        if number is None:
            continue
        cosines = means @ one.embedding
        own, nearest = cosines[people.index(number)], int(cosines.argmax())
        if cosines[nearest] > own + CLEARLY:
            doubts.append(
                f"  frame {one.frame}: {number} ({own:.2f}) looks like {people[nearest]} "
                f"({cosines[nearest]:.2f})"
            )
    lines = [
        f"{name}: {len(people)} people, {len(set(film.person_of))} runs, {film.num_faces} faces, "
        f"{film.num_embedded} embeddings; {len(doubts)} of {len(film.glimpses)} faces in doubt",
        *doubts,
    ]
    return "\n".join(lines)


def sheet(film: Film) -> np.ndarray:
    """A row or more for each person, in the order of their numbers."""
    rows = defaultdict(list)
    for one in film.glimpses:
        if (number := film.person_of.get(one.run)) is not None:
            rows[number].append(one.picture)
    lines = []
    for number in sorted(rows):
        for start in range(0, len(rows[number]), TILES_A_ROW):
            some = rows[number][start : start + TILES_A_ROW]
            some = some + [np.zeros_like(some[0])] * (TILES_A_ROW - len(some))
            lines.append(np.hstack(some))
        lines.append(np.full((4, TILE * TILES_A_ROW, 3), 255, np.uint8))
    return np.vstack(lines)


def main() -> None:
    """Look, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--detect-every", type=int, default=3, metavar="N")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="of pictures, made if needed")
    given = parser.parse_args()
    swapper = FaceSwapper.from_pretrained()
    for clip in given.clips:
        film = look_at(swapper, clip, given.detect_every)
        print(told(clip.stem, film), flush=True)
        if given.sheets is not None and film.glimpses:
            given.sheets.mkdir(parents=True, exist_ok=True)
            write_photo(given.sheets / f"{clip.stem}.png", sheet(film), model=None)


if __name__ == "__main__":
    main()
