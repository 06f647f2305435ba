"""What may lie before a face, drawn onto an aligned crop, with its label: for the face parser.

Everything is drawn from numbers and from other training photos: hands in their skin's colours,
things cut out of them, surgical masks, microphones, glasses, strands of hair.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from train.distill.painting import EYES, MOUTH, NOSE, OCCLUDER, SKIN, Scene, lit, point, texture
from train.distill.worn import LEFT_EYE, RIGHT_EYE, glasses, others_hair, strands

FACE = (SKIN, EYES, NOSE, MOUTH)
MASK_COLOURS = (
    *((235, 238, 240), (150, 190, 215), (30, 30, 34), (120, 170, 165)),
    *((190, 190, 195), (235, 205, 175), (245, 245, 250), (225, 180, 190)),
)


def occlude(scene: Scene) -> str:
    """Put one thing before the face; gives its name in KINDS."""
    kind = list(KINDS)[scene.random.integers(len(KINDS))]
    KINDS[kind](scene)
    return kind


def _hand(scene: Scene) -> None:
    """Fingers that reach in from one side, and often the palm they belong to."""
    random, size = scene.random, len(scene.crop)
    colour = scene.tone_of(SKIN)
    angle = random.uniform(0, 2 * np.pi)
    towards = np.array([np.cos(angle), np.sin(angle)])
    tip = np.array([random.uniform(0.3, 0.7), random.uniform(0.35, 0.8)]) * size
    knuckles = tip - towards * random.uniform(0.25, 0.45) * size
    side = np.array([-towards[1], towards[0]])
    width = random.uniform(0.07, 0.12) * size
    spread = random.uniform(0, 0.35)
    shape = np.zeros((size, size), np.uint8)
    canvas = lit(random, shape, colour)
    middle = random.uniform(1, 2)
    num = int(random.integers(1, 5))
    pieces = []
    if random.random() < 0.75:
        palm = knuckles - towards * width * 2
        axes = (int(width * 2.6), int(width * random.uniform(1.8, 2.4)))
        piece = np.zeros_like(shape)
        cv2.ellipse(piece, tuple(map(int, palm)), axes, np.degrees(angle), 0, 360, 1, -1)
        wrist = palm - towards * size
        cv2.line(piece, tuple(map(int, palm)), tuple(map(int, wrist)), 1, int(width * 3))
        pieces.append(piece)
    for finger in range(num):
        offset = (finger - middle) * width * 1.05
        start = knuckles + side * offset
        bend = towards + side * (finger - middle) * spread * 0.4
        length = random.uniform(0.8, 1.05) * np.linalg.norm(tip - knuckles)
        half = start + bend * length / 2 + side * random.uniform(-2, 2)
        piece = np.zeros_like(shape)
        points = np.int32([start, half, start + bend * length])
        cv2.polylines(piece, [points], isClosed=False, color=1, thickness=int(width))
        pieces.append(piece)
    for piece in pieces:
        shade = lit(random, piece, colour * random.uniform(0.92, 1.05))
        canvas = np.where(piece[..., None] > 0, shade, canvas)
        shape |= piece
    scene.lay(shape, canvas, OCCLUDER)


def _thing(scene: Scene) -> None:
    """Something of any outline, plain, striped or cut out of another photo."""
    random, size = scene.random, len(scene.crop)
    shape = np.zeros((size, size), np.uint8)
    angle = random.uniform(0, 2 * np.pi)
    far = random.uniform(0.15, 0.6) * size
    centre = np.array([size / 2 + far * np.cos(angle), size * 0.6 + far * np.sin(angle)])
    axes = random.uniform(0.12, 0.4, 2) * size
    turn = float(random.uniform(0, 180))
    outline = random.integers(3)
    if outline == 0:
        cv2.ellipse(shape, tuple(map(int, centre)), tuple(map(int, axes)), turn, 0, 360, 1, -1)
    elif outline == 1:
        box = cv2.boxPoints((tuple(map(float, centre)), tuple(map(float, 2 * axes)), turn))
        cv2.fillPoly(shape, [np.int32(box)], 1)
    else:
        steps = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(5, 12))))
        reach = random.uniform(0.5, 1.2, len(steps))[:, None] * axes
        points = centre + reach * np.stack([np.cos(steps), np.sin(steps)], axis=1)
        cv2.fillPoly(shape, [np.int32(points)], 1)
    scene.lay(shape, texture(random, shape, scene.other), OCCLUDER)


def _surgical_mask(scene: Scene) -> None:
    """From the bridge of the nose to the chin, along the face's own outline, with folds."""
    random, size = scene.random, len(scene.crop)
    face = np.isin(scene.labels, FACE).astype(np.uint8)
    rows, columns = np.mgrid[:size, :size] / size
    top = random.uniform(0.52, 0.66)
    droop = random.uniform(0.05, 0.5)
    below = rows > top + droop * np.square(columns - random.uniform(0.42, 0.58))
    chin = rows < random.uniform(0.93, 1.1)
    grow = int(random.integers(3, 11))
    closed = cv2.dilate(face, np.ones((grow, grow), np.uint8))
    shape = (closed * below * chin).astype(np.uint8)
    shape = cv2.morphologyEx(shape, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    colour = np.array(MASK_COLOURS[random.integers(len(MASK_COLOURS))], np.float32)
    if random.random() < 0.35:
        colour = random.uniform(0, 255, 3).astype(np.float32)
    paint = lit(random, shape, colour * random.uniform(0.6, 1.05))
    if random.random() < 0.2:
        paint = texture(random, shape, scene.other)
    if random.random() < 0.35:  # of two colours, with a seam down the middle
        seam = random.uniform(0.3, 0.7) + random.uniform(-0.5, 0.5) * (rows - 0.7)
        other_colour = MASK_COLOURS[random.integers(len(MASK_COLOURS))]
        half = lit(random, shape, np.array(other_colour, np.float32))
        paint = np.where((columns > seam)[..., None], half, paint)
    for _ in range(int(random.integers(0, 5))):  # folds
        height = random.uniform(top, 1) * size
        bow = random.uniform(-6, 12)
        points = [(x, height + bow * (1 - (2 * x / size - 1) ** 2)) for x in range(0, size, 8)]
        shade = [float(value) for value in colour * random.uniform(0.6, 0.9)]
        cv2.polylines(paint, [np.int32(points)], isClosed=False, color=shade, thickness=1)
    for edge, eye in ((0, LEFT_EYE), (size, RIGHT_EYE)):
        if random.random() < 0.6:
            inner = (int(size * (0.25 if edge == 0 else 0.75)), int(size * (top + 0.08)))
            outer = (edge, int(size * (eye[1] + random.uniform(-0.05, 0.2))))
            cv2.line(shape, inner, outer, 1, int(random.integers(1, 4)))
    scene.lay(shape, paint, OCCLUDER)


def _microphone(scene: Scene) -> None:
    """A head before or below the mouth, on a rod that comes from the crop's edge."""
    random, size = scene.random, len(scene.crop)
    head = np.array([random.uniform(0.25, 0.75), random.uniform(0.65, 0.95)]) * size
    foot = np.array([random.uniform(-0.2, 1.2), 1.2]) * size
    radius = random.uniform(0.05, 0.15) * size
    body, ball = np.zeros((size, size), np.uint8), np.zeros((size, size), np.uint8)
    cv2.line(body, point(head), point(foot), 1, max(int(radius * random.uniform(0.5, 1.3)), 1))
    axes = (int(radius), int(radius * random.uniform(1, 1.6)))
    cv2.ellipse(ball, point(head), axes, float(random.uniform(-60, 60)), 0, 360, 1, -1)
    dark = np.full(3, random.uniform(10, 90), np.float32)
    colour = dark if random.random() < 0.6 else random.uniform(20, 220, 3).astype(np.float32)
    paint = np.where(ball[..., None] > 0, lit(random, ball, colour), lit(random, body, dark))
    mesh = random.normal(0, random.uniform(2, 25), (size, size, 1))
    paint = paint + mesh * ball[..., None]
    scene.lay(body | ball, paint.astype(np.float32), OCCLUDER)


KINDS: dict[str, Callable[[Scene], None]] = {
    "hand": _hand,
    "thing": _thing,
    "surgical mask": _surgical_mask,
    "microphone": _microphone,
    "glasses": glasses,
    "strands": strands,
    "hair": others_hair,
}
