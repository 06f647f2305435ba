"""Landmark templates, the similarity transform, and warps between frame and crop.

A transform is a [2, 3] float64 matrix that maps (x, y) points; its name says from where to where.
"""

from __future__ import annotations

import cv2
import numpy as np

# Five points (x, y) each: left eye, right eye, nose, left and right mouth corner, on a unit square.
# Sources: the published SimSwap alignment's frontal pose (112 px), FFHQ (512 px), ArcFace (112 px).
TEMPLATES: dict[str, np.ndarray] = {
    "simswap_frontal": np.array(
        [(39.730, 51.138), (72.270, 51.138), (56.0, 68.493), (42.463, 87.010), (69.537, 87.010)]
    )
    / 112,
    "ffhq": np.array(
        [
            (192.98138, 239.94708),
            (318.90277, 240.1936),
            (256.63416, 314.01935),
            (201.26117, 371.41043),
            (313.08905, 371.15118),
        ]
    )
    / 512,
    "arcface": np.array(
        [
            (38.2946, 51.6963),
            (73.5318, 51.5014),
            (56.0252, 71.7366),
            (41.5493, 92.3655),
            (70.7299, 92.2041),
        ]
    )
    / 112,
}

# Templates of several poses: a face is aligned to the one that it fits best, as the published 224
# model does it. Poses as above, from the left to the right profile, [poses, 5, 2]; source: its
# alignment (112 px, doubled there for crops of 224).
POSE_TEMPLATES: dict[str, np.ndarray] = {
    "simswap_224": np.array(
        [
            [(51.642, 50.115), (57.617, 49.99), (35.74, 69.007), (51.157, 89.05), (57.025, 89.702)],
            [
                (45.031, 50.118),
                (65.568, 50.872),
                (39.677, 68.111),
                (45.177, 86.19),
                (64.246, 86.758),
            ],
            [(39.73, 51.138), (72.27, 51.138), (56.0, 68.493), (42.463, 87.01), (69.537, 87.01)],
            [
                (46.845, 50.872),
                (67.382, 50.118),
                (72.737, 68.111),
                (48.167, 86.758),
                (67.236, 86.19),
            ],
            [
                (54.796, 49.99),
                (60.771, 50.115),
                (76.673, 69.007),
                (55.388, 89.702),
                (61.257, 89.05),
            ],
        ]
    )
    / 112,
}
_FRONTAL_POSE = 2


def template_names() -> list[str]:
    """Every name that `frame_to_crop_transform` takes."""
    return sorted({*TEMPLATES, *POSE_TEMPLATES})


def frontal_template(template: str) -> np.ndarray:
    """The five points [5, 2] of a template, or of the frontal pose of one that has several."""
    poses = POSE_TEMPLATES.get(template)
    return TEMPLATES[template] if poses is None else poses[_FRONTAL_POSE]


def similarity_transform(source_points: np.ndarray, target_points: np.ndarray) -> np.ndarray:
    """Least-squares rotation, uniform scale and shift (Umeyama, 1991), never a reflection.

    source_points, target_points: [N, 2], N >= 2 -> [2, 3] float64, maps source to target.
    Raises ValueError if all source points coincide.
    """
    source = np.asarray(source_points, np.float64)
    target = np.asarray(target_points, np.float64)
    source_mean, target_mean = source.mean(0), target.mean(0)
    source_centred, target_centred = source - source_mean, target - target_mean
    variance = (source_centred**2).sum()
    if variance < 1e-12:
        raise ValueError("All source points coincide; no similarity transform maps them.")
    # In two dimensions the optimum is one complex number: scale * (cos + i sin).
    real = (source_centred * target_centred).sum() / variance
    cross = (
        source_centred[:, 0] * target_centred[:, 1] - source_centred[:, 1] * target_centred[:, 0]
    )
    imaginary = cross.sum() / variance
    rotation_scale = np.array([[real, -imaginary], [imaginary, real]])
    shift = target_mean - rotation_scale @ source_mean
    return np.concatenate([rotation_scale, shift[:, None]], axis=1)


def invert(transform: np.ndarray) -> np.ndarray:
    """Inverse of a [2, 3] transform."""
    linear = np.linalg.inv(transform[:, :2])
    return np.concatenate([linear, -linear @ transform[:, 2:]], axis=1)


def compose(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The [2, 3] transform that applies `first`, then `then`."""
    linear = then[:, :2] @ first[:, :2]
    return np.concatenate([linear, then[:, :2] @ first[:, 2:] + then[:, 2:]], axis=1)


def apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map [..., 2] points by a [2, 3] transform."""
    return points @ transform[:, :2].T + transform[:, 2]


def scale_of(transform: np.ndarray) -> float:
    """Length factor of a similarity transform."""
    return float(np.hypot(transform[0, 0], transform[1, 0]))


def frame_to_crop_transform(landmarks: np.ndarray, template: str, size: int) -> np.ndarray:
    """[2, 3] from frame pixels to pixels of a `size` x `size` crop aligned to `template`.

    Of a template of several poses, that one is taken whose points the landmarks come nearest to
    (smallest sum of five distances, as in the official code).
    """
    if template in TEMPLATES:
        return similarity_transform(landmarks, TEMPLATES[template] * size)
    poses = POSE_TEMPLATES[template] * size
    transforms = [similarity_transform(landmarks, pose) for pose in poses]
    misses = [
        np.linalg.norm(apply(transform, np.asarray(landmarks, np.float64)) - pose, axis=1).sum()
        for transform, pose in zip(transforms, poses, strict=True)
    ]
    return transforms[int(np.argmin(misses))]


def warp_to_crop(
    frame: np.ndarray, frame_to_crop: np.ndarray, size: int, interpolation: int = cv2.INTER_LINEAR
) -> np.ndarray:
    """Cut one aligned crop out of a frame; outside the frame the border is repeated.

    frame: [H, W, 3] uint8; interpolation: one of OpenCV's -> [size, size, 3] uint8. Only the
    crop's own region of the frame is read, and it is averaged down first where the crop is much
    smaller, so nothing aliases.
    """
    crop_to_frame = invert(frame_to_crop)
    x0, y0, x1, y1 = crop_region(crop_to_frame, size, frame.shape, margin=2)
    if x1 <= x0 or y1 <= y0:
        return np.zeros((size, size, frame.shape[2]), frame.dtype)
    region = frame[y0:y1, x0:x1]
    region_to_crop = compose(np.array([[1.0, 0, x0], [0, 1, y0]]), frame_to_crop)
    shrink = int(1 / scale_of(frame_to_crop))
    if shrink >= 2:
        height, width = region.shape[:2]
        small = (max(width // shrink, 1), max(height // shrink, 1))
        region = cv2.resize(region, small, interpolation=cv2.INTER_AREA)
        factor_x, factor_y = width / small[0], height / small[1]
        # Pixel centres: small pixel s covers frame pixels (s + 0.5) * factor - 0.5.
        small_to_region = np.array(
            [[factor_x, 0, (factor_x - 1) / 2], [0, factor_y, (factor_y - 1) / 2]]
        )
        region_to_crop = compose(small_to_region, region_to_crop)
    return cv2.warpAffine(
        region,
        region_to_crop,
        (size, size),
        flags=interpolation,
        borderMode=cv2.BORDER_REPLICATE,
    )


def cut_square(frame: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """The square of `side` px around `centre` ([2], (x, y)), as warp_to_crop cuts it.

    frame: [H, W, 3] uint8 -> [size, size, 3] uint8. A side of any length takes no more memory.
    """
    factor = size / max(side, 1.0)
    shift = (size - 1) / 2 - factor * np.asarray(centre, np.float64)
    return warp_to_crop(frame, np.array([[factor, 0, shift[0]], [0, factor, shift[1]]]), size)


def resize_transform(factor: float) -> np.ndarray:
    """From the pixels of a picture to those of the picture resized: centres keep their place."""
    offset = (factor - 1) / 2  # pixel p covers p to p + 1, its centre is p + 0.5
    return np.array([[factor, 0, offset], [0, factor, offset]])


def crop_region(
    crop_to_frame: np.ndarray, size: int, shape: tuple[int, ...], margin: int = 0
) -> tuple[int, ...]:
    """Smallest x0, y0, x1, y1 (integers, end exclusive) of a [H, W, ...] frame holding the crop.

    margin: px more on each side, as far as the frame reaches.
    """
    corners = np.array([(0, 0), (size - 1, 0), (size - 1, size - 1), (0, size - 1)], float)
    points = apply(crop_to_frame, corners)
    low, high = np.floor(points.min(0)) - margin, np.ceil(points.max(0)) + 1 + margin
    most = (shape[1], shape[0])  # bounded before they are integers, which reach less far
    return tuple(int(end) for end in np.clip((*low, *high), 0, most * 2))
