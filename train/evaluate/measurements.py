"""What is measured of each pair: plain arrays that processes can exchange and merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from simswap import geometry
from simswap.swap.pasting.blending import paste_into
from simswap.swap.pasting.masks import face_mask
from simswap.swapper import FaceSwapper
from simswap.types import SwapOptions
from train.evaluate.judges import Judges
from train.evaluate.methods import Method, Outcome, SeenPhoto, swap_method
from train.evaluate.pairs import Pair

OnProgress = Callable[[int, int], None]  # pairs done, pairs in all

# Of the 68 points: brows, nose, eyes and mouth. The jaw line before them is the person's shape.
EXPRESSION_POINTS = slice(17, 68)
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)


@dataclass(frozen=True, eq=False)
class Measurements:
    """Per pair, N in all; NaN where nothing was measured. Holds arrays only, so it pickles.

    numbers: [N] int64, the pairs' places in the whole list; identities: [N] str, of the sources.
    sources, targets, results: [N, E] unit-norm embeddings by the judge.
    pose_errors: [N, 3] absolute degrees of yaw, pitch, roll between result and target.
    expression_errors: [N] % of the inter-eye distance, see expression_error.
    expression_distances: [N] between the expression parameters of 3DDFA, in its units.
    self_l1, self_mse: [N] of the target swapped with itself, inside the mask, for RGB in [0, 1].
    target_features, result_features: [N, F] in the space of the Frechet distance.
    is_missed: [N] bool, no face found at the target's landmarks; such a target counts untouched.
    """

    numbers: np.ndarray
    identities: np.ndarray
    sources: np.ndarray
    targets: np.ndarray
    results: np.ndarray
    pose_errors: np.ndarray
    expression_errors: np.ndarray
    expression_distances: np.ndarray
    self_l1: np.ndarray
    self_mse: np.ndarray
    target_features: np.ndarray
    result_features: np.ndarray
    is_missed: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)


def measure_pairs(
    swapper: FaceSwapper,
    pairs: Sequence[Pair],
    judges: Judges,
    on_progress: OnProgress | None = None,
) -> Measurements:
    """Swap every pair through the whole pipeline and judge it; a process's share may be empty.

    Raises MediaError if a photo cannot be read.
    """
    methods = {"swapped": swap_method(swapper)}
    return measure_methods(swapper, methods, pairs, judges, on_progress)["swapped"]


def measure_methods(
    swapper: FaceSwapper,
    methods: Mapping[str, Method],
    pairs: Sequence[Pair],
    judges: Judges,
    on_progress: OnProgress | None = None,
) -> dict[str, Measurements]:
    """The same for several ways to make a result; photos are read and judged once.

    swapper: its alignment says where a pasted crop lies.
    """
    rows: dict[str, list[Measurements]] = {name: [] for name in methods}
    for done, pair in enumerate(pairs, start=1):
        for name, row in _measure_pair(swapper, methods, pair, judges).items():
            rows[name].append(row)
        if on_progress:
            on_progress(done, len(pairs))
    return {name: merge_measurements(of_method) for name, of_method in rows.items()}


def merge_measurements(parts: Sequence[Measurements]) -> Measurements:
    """All pairs of the parts, each once, ordered by number: as if measured in one go."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return _no_measurements()
    numbers = np.concatenate([part.numbers for part in filled])
    # Processes may have been given a pair twice, to be equally busy.
    _, order = np.unique(numbers, return_index=True)
    merged = {
        item.name: np.concatenate([getattr(part, item.name) for part in filled])[order]
        for item in fields(Measurements)
    }
    return Measurements(**merged)


def expression_error(result_points: np.ndarray, target_points: np.ndarray) -> float:
    """Mean distance of brows, nose, eyes and mouth in % of the target's inter-eye distance.

    result_points, target_points: [68, 2]. Shift, size and roll between the two are taken out
    first: they are pose, which is judged by itself, and the landmark network's own wandering.
    """
    result, target = result_points[EXPRESSION_POINTS], target_points[EXPRESSION_POINTS]
    fitted = geometry.apply(geometry.similarity_transform(result, target), result)
    eyes = target_points[LEFT_EYE].mean(0) - target_points[RIGHT_EYE].mean(0)
    return float(100 * np.linalg.norm(fitted - target, axis=1).mean() / np.linalg.norm(eyes))


def self_swap_error(
    outcome: np.ndarray, target: np.ndarray, mask: np.ndarray
) -> tuple[float, float]:
    """Mean absolute and mean squared difference, for RGB in [0, 1], weighted by a mask.

    outcome, target: [H, W, 3] uint8; mask: [H, W] float in [0, 1], not all 0.
    """
    difference = np.abs(outcome.astype(np.float64) - target) / 255
    weight = mask / mask.sum() / 3
    return (
        float(np.einsum("hwc,hw->", difference, weight)),
        float(np.einsum("hwc,hw->", difference**2, weight)),
    )


def paste_mask(swapper: FaceSwapper, shape: tuple[int, ...], landmarks: np.ndarray) -> np.ndarray:
    """[H, W] float32 in [0, 1]: where a photo of `shape` takes the crop at `landmarks` [5, 2].

    The reference landmarks, not the detected ones, so that all methods are compared on one area.
    """
    size = swapper.alignment.crop_size
    frame_to_crop = geometry.frame_to_crop_transform(
        landmarks, swapper.alignment.crop_template, size
    )
    in_crop = geometry.apply(frame_to_crop, landmarks)
    mask = face_mask(in_crop, size, SwapOptions.mask_softness)
    taken, white = np.zeros((*shape[:2], 3), np.uint8), np.ones((size, size, 3), np.float32)
    paste_into(taken, white, mask, frame_to_crop)
    return taken[..., 0].astype(np.float32) / 255


def _measure_pair(
    swapper: FaceSwapper, methods: Mapping[str, Method], pair: Pair, judges: Judges
) -> dict[str, Measurements]:
    source, target = pair.read_source(), pair.read_target()
    landmarks = pair.target_landmarks
    seen_source, seen_target = (
        SeenPhoto(photo, swapper, pair.number) for photo in (source, target)
    )
    outcomes = {name: method(seen_source, seen_target) for name, method in methods.items()}
    images = [outcome.image for outcome in outcomes.values()]
    source_embedding, target_embedding, *embeddings = judges.identity.embed(
        [source, target, *images], [pair.source_landmarks, *[landmarks] * (1 + len(images))]
    )
    target_features, *features = judges.features.features([target, *images], landmarks)
    attributes = attribute_errors(images, target, landmarks, judges)
    mask = paste_mask(swapper, target.shape, landmarks)
    rows = {}
    for i, (name, outcome) in enumerate(outcomes.items()):
        itself = methods[name](seen_target, seen_target) if mask.any() else None
        l1, mse = self_swap_error(itself.image, target, mask) if itself else (np.nan, np.nan)
        rows[name] = Measurements(
            numbers=np.array([pair.number]),
            identities=np.array([pair.source_identity]),
            sources=source_embedding[None],
            targets=target_embedding[None],
            results=embeddings[i][None],
            **attributes[i],
            self_l1=np.array([l1]),
            self_mse=np.array([mse]),
            target_features=target_features[None],
            result_features=features[i][None],
            is_missed=np.array([not _is_found(outcome, landmarks)]),
        )
    return rows


def attribute_errors(
    images: Sequence[np.ndarray], target: np.ndarray, landmarks: np.ndarray, judges: Judges
) -> list[dict[str, np.ndarray]]:
    """Of each image, how its pose and expression differ from the target's: arrays of one row.

    The names are those of Measurements; NaN where nobody judges.
    """
    pose_errors = [np.full(3, np.nan)] * len(images)
    if judges.pose is not None:
        angles = judges.pose.angles(target, landmarks)
        pose_errors = [np.abs(judges.pose.angles(image, landmarks) - angles) for image in images]
    errors = distances = [np.nan] * len(images)
    if judges.landmarks is not None:
        points = judges.landmarks.points(target, landmarks)
        errors = [
            expression_error(judges.landmarks.points(image, landmarks), points) for image in images
        ]
    if judges.face_model is not None:
        read = judges.face_model.expression
        expression = read(target, landmarks)
        distances = [float(np.linalg.norm(read(one, landmarks) - expression)) for one in images]
    return [
        {
            "pose_errors": pose[None],
            "expression_errors": np.array([error]),
            "expression_distances": np.array([distance]),
        }
        for pose, error, distance in zip(pose_errors, errors, distances, strict=True)
    ]


def _is_found(outcome: Outcome, landmarks: np.ndarray) -> bool:
    """Is one of the detected faces the one at `landmarks` [5, 2]?"""
    centre, reach = landmarks.mean(0), np.ptp(landmarks, axis=0).max()
    return any(np.linalg.norm(f.landmarks.mean(0) - centre) < reach / 2 for f in outcome.faces)


def _no_measurements() -> Measurements:
    counts = {"numbers": np.int64, "identities": np.str_, "is_missed": np.bool_}
    scalars = (*counts, "expression_errors", "expression_distances", "self_l1", "self_mse")
    return Measurements(
        **{
            item.name: np.zeros(0 if item.name in scalars else (0, 0), counts.get(item.name))
            for item in fields(Measurements)
        }
    )
