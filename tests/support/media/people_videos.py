"""Scenes of two people, drawn with the example photos: who is where in each frame is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from tests.support.examples import read_example
from tests.support.media.video_files import Recipe, make_video

WIDTH, HEIGHT = 320, 176  # px
RATE = 30  # frames per second
# The heads in the example photos: left, top and side of a square.
HEADS = {
    "astronaut": ("astronaut.jpg", 150, 40, 150),
    "hopper": ("grace_hopper.jpg", 140, 70, 250),
}
# The sister, who is made: the astronaut's head with this share of the admiral's face laid over it.
# The identity network gives the two sisters a cosine of 0.53.
SHARE = 0.35
HOPPER_TO_ASTRONAUT = np.array([[0.79, -0.04, 16.0], [0.04, 0.79, 2.4]])  # heads of 150 px
NEAR = 0.25  # of the head's side, between its middle and its face's
PAPER = (96, 110, 124)


@dataclass(frozen=True)
class Place:
    """Where a head is: its middle and its side in px of the frame."""

    who: str
    x: float
    y: float
    side: float


# Everybody in the frame of a number, those in front last.
Scene = Callable[[int], Sequence[Place]]


def crossing(number: int) -> list[Place]:
    """Both walk past each other, the astronaut in front (18 frames)."""
    step = 220 * number / 17
    return [Place("hopper", 270 - step, 88, 110), Place("astronaut", 50 + step, 84, 110)]


def exit_and_return(number: int) -> list[Place]:
    """The astronaut leaves to the left and comes back from the right (20 frames)."""
    stays = Place("hopper", 160, 88, 110)
    if number < 8:
        return [stays, Place("astronaut", 50 - 14 * number, 88, 100)]
    if number < 11:
        return [stays]
    return [stays, Place("astronaut", 360 - 10 * (number - 11), 84, 105)]


def cuts(number: int) -> list[Place]:
    """Every five frames somebody else at the same place, or both (15 frames)."""
    shot = number // 5
    if shot % 3 == 2:
        return [Place("astronaut", 80, 88, 110), Place("hopper", 240, 88, 110)]
    who = ("astronaut", "hopper")[shot % 3]
    return [Place(who, 160 + number % 5, 88, 120)]


def sizes(number: int) -> list[Place]:
    """The astronaut comes near while the admiral draws back, who was larger for longer (12)."""
    near = max(number - 6, 0) * 11
    return [Place("astronaut", 80, 88, 96 + near * 0.9), Place("hopper", 240, 88, 150 - near)]


def look_alikes(number: int) -> list[Place]:
    """Two sisters walk past each other, then change places at a cut, then are there alone (29)."""
    if number < 14:
        step = 220 * number / 13
        return [Place("sister", 270 - step, 88, 110), Place("astronaut", 50 + step, 84, 110)]
    if number < 19:
        return [Place("astronaut", 80, 88, 120), Place("sister", 240, 88, 120)]
    return [Place("sister" if number < 24 else "astronaut", 160 + number % 5, 88, 120)]


NUM_FRAMES = {look_alikes: 29, crossing: 18, exit_and_return: 20, cuts: 15, sizes: 12}


@cache
def head(who: str) -> np.ndarray:
    """A head, [side, side, 3] uint8 RGB."""
    if who == "sister":
        own, other = (cv2.resize(head(one), (150, 150)) for one in ("astronaut", "hopper"))
        border = {"borderMode": cv2.BORDER_REPLICATE}
        laid = cv2.warpAffine(other, HOPPER_TO_ASTRONAUT, (150, 150), **border)
        return cv2.addWeighted(own, 1 - SHARE, laid, SHARE, 0)
    name, left, top, side = HEADS[who]
    return read_example(name)[top : top + side, left : left + side]


def picture(scene: Scene, number: int) -> np.ndarray:
    """Frame `number` of a scene, [HEIGHT, WIDTH, 3] uint8 RGB."""
    frame = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    for place in scene(number):
        shown = head(place.who)
        scale = place.side / len(shown)
        corner = place.x - place.side / 2, place.y - place.side / 2
        head_to_frame = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
        cv2.warpAffine(
            shown,
            head_to_frame,
            (WIDTH, HEIGHT),
            dst=frame,
            flags=cv2.INTER_AREA,
            borderMode=cv2.BORDER_TRANSPARENT,
        )
    return frame


def frames_of(scene: Scene) -> list[np.ndarray]:
    """All frames of a scene."""
    return [picture(scene, number) for number in range(NUM_FRAMES[scene])]


def cast_of(scene: Scene) -> set[str]:
    """Who appears in a scene."""
    return {one.who for number in range(NUM_FRAMES[scene]) for one in scene(number)}


def who_is_at(scene: Scene, number: int, box: np.ndarray) -> str:
    """Whose face a box ([4] xyxy) in a frame is: of two at one place, who is in front."""
    x, y = box.reshape(2, 2).mean(axis=0)
    far = {one.who: np.hypot(one.x - x, one.y - y) / one.side for one in scene(number)}
    near = [who for who, distance in far.items() if distance < NEAR]
    return near[-1] if near else min(far, key=far.get)


def make_scene(path: Path, scene: Scene) -> Path:
    """Write a scene as a video without sound."""
    recipe = Recipe(
        NUM_FRAMES[scene],
        (WIDTH, HEIGHT),
        sound=None,
        picture=lambda number, width, height: picture(scene, number),
        options={"crf": "12"},
    )
    return make_video(path, recipe)
