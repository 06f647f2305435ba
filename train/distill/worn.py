"""What people wear or what grows on them, drawn before their faces: glasses and hair."""

from __future__ import annotations

import cv2
import numpy as np

from train.distill.painting import EYES, GLASSES, HAIR, Scene, lit, point

LEFT_EYE, RIGHT_EYE = (0.355, 0.457), (0.645, 0.457)  # of the aligned crop's side


def glasses(scene: Scene) -> None:
    """Two lenses of one outline, clear to dark, a bridge and temples; the lens is glasses, too."""
    random, size = scene.random, len(scene.crop)
    if (scene.labels == GLASSES).sum() > 60:
        return
    lens = np.zeros((size, size), np.uint8)
    frame = np.zeros((size, size), np.uint8)
    half = np.array([random.uniform(0.1, 0.15), random.uniform(0.06, 0.13)]) * size
    lower = random.uniform(-0.01, 0.05) * size
    thickness = int(random.integers(1, 5))
    outline = _superellipse(random.uniform(2, 6))
    eyes = _eye_middles(scene.labels)
    for middle in eyes:
        points = np.int32(middle + np.array([0, lower]) + outline * half)
        cv2.fillPoly(lens, [points], 1)
        cv2.polylines(frame, [points], isClosed=True, color=1, thickness=thickness)
    left, right = (middle + np.array([0, lower]) for middle in eyes)
    inner = np.array([half[0], 0])
    cv2.line(frame, point(left + inner), point(right - inner), 1, thickness)
    sweep = np.array([random.uniform(0.1, 0.4), random.uniform(-0.04, 0.04)]) * size
    cv2.line(frame, point(left - inner), point(left - inner - sweep), 1, thickness)
    sweep[0] *= -1
    cv2.line(frame, point(right + inner), point(right + inner - sweep), 1, thickness)
    _fill(scene, lens, frame, left - half * random.uniform(0, 0.8), half)


def _fill(
    scene: Scene, lens: np.ndarray, frame: np.ndarray, corner: np.ndarray, half: np.ndarray
) -> None:
    """Lenses, clear to dark, maybe a reflection from `corner` on, and the frame around them."""
    random, size = scene.random, len(lens)
    tint = random.uniform(0, 0.15) if random.random() < 0.6 else random.uniform(0.4, 1)
    tone = np.full(3, random.uniform(0, 70), np.float32) + random.uniform(0, 40, 3)
    scene.lay(lens, lit(random, lens, tone), GLASSES, tint)
    if random.random() < 0.3:  # a reflection
        glow = np.zeros((size, size), np.uint8)
        cv2.line(glow, point(corner), point(corner + half * random.uniform(0.3, 1)), 1, 3)
        white = np.full((size, size, 3), 255, np.float32)
        scene.lay(glow & lens, white, GLASSES, random.uniform(0.2, 0.7))
    colour = random.uniform(0, 80, 3) if random.random() < 0.7 else random.uniform(0, 255, 3)
    if random.random() < 0.9:
        paint = lit(random, frame, colour.astype(np.float32))
        scene.lay(frame, paint, GLASSES, random.uniform(0.7, 1))


def _superellipse(exponent: float) -> np.ndarray:
    """Points [40, 2] on the outline |x|^n + |y|^n = 1."""
    steps = np.linspace(0, 2 * np.pi, 40)
    circle = np.stack([np.cos(steps), np.sin(steps)], axis=1)
    return np.sign(circle) * np.abs(circle) ** (2 / exponent)


def _eye_middles(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where glasses sit: the template's eyes, moved with what the labels show of them."""
    size = len(labels)
    found = np.argwhere(labels == EYES)
    shift = np.zeros(2)
    if len(found) > 20:
        middle = found.mean(0)[::-1] + np.array([0, 0.02 * size])  # brows pull it up
        shift = (middle - np.mean([LEFT_EYE, RIGHT_EYE], axis=0) * size).clip(-10, 10)
    return np.array(LEFT_EYE) * size + shift, np.array(RIGHT_EYE) * size + shift


def strands(scene: Scene) -> None:
    """Hair that falls over forehead and cheeks, in the colour of the photo's own or another's."""
    random, size = scene.random, len(scene.crop)
    colour = scene.tone_of(HAIR)
    shape = np.zeros((size, size), np.uint8)
    paint = np.zeros((size, size, 3), np.float32) + colour
    start = np.array([random.uniform(0.05, 0.95), random.uniform(-0.05, 0.15)]) * size
    towards = random.uniform(-0.6, 0.6)
    length = random.uniform(0.25, 0.9) * size
    bow = random.uniform(-0.3, 0.3) * size
    lock = random.uniform(2, 22)  # px, width of the lock
    for _ in range(int(lock * random.uniform(1, 2.5)) + 1):
        from_x = start[0] + random.uniform(-lock, lock) / 2
        steps = np.linspace(0, 1, 12)
        lean = towards + random.uniform(-0.08, 0.08)
        x = from_x + lean * length * steps + bow * steps**2
        y = start[1] + length * random.uniform(0.8, 1.1) * steps
        points = [np.int32(np.stack([x, y], axis=1))]
        shade = [float(value) for value in colour * random.uniform(0.6, 1.3)]
        thickness = int(random.integers(1, 3))
        cv2.polylines(paint, points, isClosed=False, color=shade, thickness=thickness)
        cv2.polylines(shape, points, isClosed=False, color=1, thickness=thickness)
    scene.lay(shape, paint, HAIR)


def others_hair(scene: Scene) -> None:
    """The hair of another photo, which may hang lower than the photo's own."""
    random = scene.random
    drop = int(random.integers(0, 26))
    shape = np.roll((scene.other_labels == HAIR).astype(np.uint8), drop, axis=0)
    shape[:drop] = shape[drop : drop + 1]
    paint = np.roll(scene.other, drop, axis=0).astype(np.float32)
    paint[:drop] = paint[drop : drop + 1]
    scene.lay(shape, paint, HAIR)
