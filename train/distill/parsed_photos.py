"""Photos with a class for each pixel, cut to aligned crops: what the face parser learns from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq

from simswap.geometry import compose, frame_to_crop_transform, warp_to_crop
from simswap.media.decoding import decode_photo
from simswap.models.parser import CLASSES, INPUT_SIZE, TEMPLATE
from train.distill.occluders import occlude
from train.distill.painting import Scene
from train.errors import TrainingError
from train.pairing.alignment import jitter_transforms
from train.pairing.augmentation import Augmentation, vary_picture

MASKS_FILE = "masks/parsing.parquet"
TRAINING_PHOTOS, HELD_OUT_PHOTOS = "faces_hq", "portraits_wild"  # folders of parquet shards
STORED_SIZE, REACH = 192, 1.25  # px of a stored crop, and how much wider it is than the swap's
IGNORED = 255  # label of what lies outside the photo
# CelebAMask-HQ's classes, in the order of masks/parsing.parquet, in ours.
_OURS = {
    "background": (0, 15, 16, 17, 18),  # and earring, necklace, neck, cloth
    "skin": (1, 8, 9),  # and ears
    "eyes": (4, 5, 6, 7),  # and brows
    "nose": (2,),
    "mouth": (10, 11, 12),
    "hair": (13, 14),  # and hat
    "glasses": (3,),
}
# Wide, because landmarks are a detector's, and pictures a camera's. Grey and dark on purpose.
VARIATION = Augmentation(
    shift=0.05,
    scale=0.12,
    roll=10.0,
    exposure=0.3,
    exposure_stops=1.5,
    contrast=0.3,
    white_balance=0.3,
    low_light=0.25,
    low_light_stops=4.0,
    grey=0.15,
    blur=0.15,
    noise=0.2,
    jpeg=0.3,
)
COARSE, COARSEST = 0.2, 28  # chance of a small face, enlarged; px of its crop, at least
OCCLUDED, OCCLUDED_TWICE = 0.6, 0.15  # chances


@dataclass(frozen=True, eq=False)
class ParsedPhotos:
    """crops: [N, 192, 192, 3] uint8 RGB; labels: [N, 192, 192] uint8, see CLASSES; or IGNORED."""

    crops: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.crops)

    def plain(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """A photo's crop as a swap cuts it, and its labels: [128, 128, 3] and [128, 128] uint8."""
        return _cut(self.crops[place], self.labels[place], _to_crop())

    def varied(self, place: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The same, mirrored, moved, often with something before the face, and as cameras see."""
        jitter = jitter_transforms(1, INPUT_SIZE, random, VARIATION)[0]
        crop, labels = _cut(self.crops[place], self.labels[place], compose(_to_crop(), jitter))
        if random.random() < VARIATION.mirror:
            crop, labels = crop[:, ::-1].copy(), labels[:, ::-1].copy()
        chance = random.random()
        for _ in range((chance < OCCLUDED) + (chance < OCCLUDED_TWICE)):
            occlude(self._scene(random, crop, labels))
        if random.random() < COARSE:
            small = int(random.integers(COARSEST, INPUT_SIZE))
            crop = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
            crop = cv2.resize(crop, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_LINEAR)
        return vary_picture(crop, random, VARIATION), labels

    def _scene(self, random: np.random.Generator, crop: np.ndarray, labels: np.ndarray) -> Scene:
        return Scene(random, crop, labels, *self.plain(int(random.integers(len(self)))))

    def occluded(self, place: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
        """A photo's plain crop with one thing before it: crop, labels, where it is, what it is."""
        random = np.random.default_rng(seed)
        crop, labels = self.plain(place)
        before = crop.copy()
        kind = occlude(self._scene(random, crop, labels))
        return crop, labels, (before != crop).any(-1), kind


def load_parsed_photos(
    data: Path, *, held_out: bool, num_photos: int | None = None
) -> ParsedPhotos:
    """Photos to learn from, or those held out, which no network of ours has learnt from.

    data: folder with masks/parsing.parquet and the photos' own. num_photos: the first so many.
    Raises TrainingError if there are none.
    """
    masks = pq.read_table(data / MASKS_FILE).to_pylist()
    encoded = {row["identity"]: row["mask"]["bytes"] for row in masks}
    crops, labels = [], []
    folder = data / (HELD_OUT_PHOTOS if held_out else TRAINING_PHOTOS)
    for shard in sorted(folder.glob("*.parquet")):
        for row in pq.read_table(shard, columns=["image", "identity", "landmarks"]).to_pylist():
            if row["identity"] in encoded and len(crops) != num_photos:
                crop, label = _stored(row, encoded[row["identity"]])
                crops.append(crop)
                labels.append(label)
    if not crops:
        raise TrainingError(f"{data} has no photos of {MASKS_FILE}. Name the folder above both.")
    return ParsedPhotos(np.stack(crops), np.stack(labels))


def _stored(row: dict, mask: bytes) -> tuple[np.ndarray, np.ndarray]:
    photo = decode_photo(row["image"]["bytes"], row["identity"]).image
    theirs = cv2.imdecode(np.frombuffer(mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    if theirs is None or theirs.shape != photo.shape[:2]:
        raise TrainingError(f"{row['identity']}: its classes do not fit the photo.")
    ours = np.full(256, IGNORED, np.uint8)
    for name, numbers in _OURS.items():
        ours[list(numbers)] = CLASSES.index(name)
    landmarks = np.asarray(row["landmarks"], np.float64)
    to_crop = frame_to_crop_transform(landmarks, TEMPLATE, STORED_SIZE)
    middle = (STORED_SIZE - 1) / 2
    shift = middle - middle / REACH
    to_crop = compose(to_crop, np.array([[1 / REACH, 0, shift], [0, 1 / REACH, shift]]))
    size = (STORED_SIZE, STORED_SIZE)
    labels = cv2.warpAffine(
        ours[theirs],
        to_crop,
        size,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=IGNORED,
    )
    return warp_to_crop(photo, to_crop, STORED_SIZE), labels


def _to_crop() -> np.ndarray:
    """From a stored crop to the swap's: [2, 3]."""
    factor = INPUT_SIZE / STORED_SIZE * REACH
    shift = (INPUT_SIZE - 1) / 2 - factor * (STORED_SIZE - 1) / 2
    return np.array([[factor, 0, shift], [0, factor, shift]])


def _cut(
    crop: np.ndarray, labels: np.ndarray, to_crop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    size = (INPUT_SIZE, INPUT_SIZE)
    pixels = cv2.warpAffine(
        crop, to_crop, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    classes = cv2.warpAffine(
        labels,
        to_crop,
        size,
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=IGNORED,
    )
    return pixels, classes
