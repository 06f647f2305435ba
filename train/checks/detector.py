"""Every figure of the face detector against its bar, as one table.

    python -m train.checks.detector --data ../shared/data

The reference is YuNet (cv2.FaceDetectorYN) on the same frame at its own size. Photos: the YuNet
detection nearest to the landmarks of photos.csv. Group photos and video frames: all detections at
score 0.7; those that we find besides are extra ("lenient": that YuNet does not give 0.5 either).
Portraits: SCRFD, which a user may detect with instead; how far it moves when its input is half as
large tells what agreement can be expected.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from simswap.faces.detection import detect_faces
from simswap.faces.nms import overlaps
from simswap.faces.rolled import roll_of
from simswap.faces.scrfd import Scrfd
from simswap.models.detector import DetectorConfig, FaceDetector
from simswap.runtime.networks import DetectorNetworks
from simswap.types import Face, SwapOptions
from simswap.weights.weight_files import load_tensors
from train.checks.scrfd import MIN_SCORE, nearest_landmarks

GROUP_PHOTOS = ("two_people.jpg", "couple.jpg", "selfie_many_people.jpg")
VIDEOS = ("talking_480.mp4", "portrait_720.mp4", "six_people.mp4", "crowd.mp4")
FRAMES_PER_VIDEO = 30
PORTRAITS = ("official_portrait_1.jpg", "official_portrait_1_second.jpg", "official_portrait_2.jpg")
HALF_SIDE = 320  # px; insightface has SCRFD look at 640
HARD_PHOTOS = (
    "roll_90.jpg",
    "roll_180.jpg",
    "pose_roll.png",
    "pose_left.jpg",
    "pose_right.png",
    "occluded_mask.jpg",
)
ROLLS = (20, 45, 90, 135, 180, -135, -90, -45)  # degrees
SAME_FACE = 0.5  # intersection over union
BATCH_SIZE = 32


@dataclass(frozen=True)
class Counts:
    """Faces of the reference, those of them we found, and those that only we found."""

    reference: int = 0
    found: int = 0
    extra: int = 0
    extra_lenient: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values, other.values, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        """All four, in order."""
        return self.reference, self.found, self.extra, self.extra_lenient

    def __str__(self) -> str:
        share = 100 / max(self.reference, 1)
        return (
            f"{self.found}/{self.reference} found ({share * self.found:.1f} %), {self.extra} extra "
            f"({share * self.extra:.1f} %; lenient {self.extra_lenient})"
        )


class Reference:
    """YuNet as OpenCV runs it."""

    def __init__(self, model: Path) -> None:
        self.yunet = cv2.FaceDetectorYN.create(str(model), "", (320, 320), 0.3, 0.3, 5000)

    def detect(self, frame: np.ndarray) -> np.ndarray:
        """Uint8 RGB frame -> [N, 15]: box xyxy, five landmarks, score."""
        height, width = frame.shape[:2]
        self.yunet.setInputSize((width, height))
        rows = self.yunet.detect(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1]
        rows = np.zeros((0, 15), np.float32) if rows is None else rows
        return np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4], rows[:, 4:]], axis=1)


def read_photo(path: Path) -> np.ndarray:
    """Uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def spread_frames(path: Path) -> list[np.ndarray]:
    """FRAMES_PER_VIDEO frames from the first to the last."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    chosen = np.linspace(0, len(frames) - 1, FRAMES_PER_VIDEO).round().astype(int)
    return [frames[i] for i in chosen]


def labelled_photos(folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photo and [5, 2] landmarks of each row of photos.csv."""
    with (folder / "photos.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            landmarks = [[float(row[f"x{i}"]), float(row[f"y{i}"])] for i in range(5)]
            yield read_photo(folder / "photos" / row["file"]), np.array(landmarks)


def count_matches(boxes: np.ndarray, reference: np.ndarray) -> int:
    """Pairs of boxes that show the same face, each box in one pair at most, best pairs first."""
    if not len(boxes) or not len(reference):
        return 0
    table = np.stack([overlaps(box, reference)[0] for box in boxes])
    pairs = 0
    while table.max() >= SAME_FACE:
        i, j = np.unravel_index(table.argmax(), table.shape)
        table[i], table[:, j] = 0, 0
        pairs += 1
    return pairs


def boxes_of(faces: Sequence[Face]) -> np.ndarray:
    """[N, 4]."""
    return np.array([face.box for face in faces]).reshape(-1, 4)


def landmark_error(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance in % of the inter-eye distance."""
    eyes = np.linalg.norm(truth[1] - truth[0])
    return float(100 * np.linalg.norm(found - truth, axis=1).mean() / eyes)


def compare(frames: Sequence[np.ndarray], faces: list[list[Face]], yunet: Reference) -> Counts:
    """Our faces of each frame against YuNet's."""
    total = Counts()
    for frame, ours in zip(frames, faces, strict=True):
        boxes, rows = boxes_of(ours), yunet.detect(frame)
        sure, likely = rows[rows[:, 14] >= 0.7, :4], rows[rows[:, 14] >= 0.5, :4]
        found = count_matches(boxes, sure)
        lenient = len(boxes) - count_matches(boxes, likely)
        total += Counts(len(sure), found, len(boxes) - found, lenient)
    return total


def report_photos(
    detector: DetectorNetworks, folder: Path, yunet: Reference, min_score: float
) -> None:
    """Recall and landmark error on the labelled photos, as they are and rolled."""
    photos = list(labelled_photos(folder))
    errors, total = [], 0
    for start in range(0, len(photos), BATCH_SIZE):
        batch = photos[start : start + BATCH_SIZE]
        found = detect_faces(detector, [photo for photo, _ in batch], min_score=min_score)
        for (photo, truth), faces in zip(batch, found, strict=True):
            rows = yunet.detect(photo)
            points = rows[:, 4:14].reshape(-1, 5, 2)
            nearest = np.linalg.norm(points - truth, axis=2).mean(axis=1).argmin()
            overlap = overlaps(rows[nearest, :4], boxes_of(faces))[0]
            total += 1
            if len(faces) and overlap.max() >= SAME_FACE:
                errors.append(landmark_error(faces[overlap.argmax()].landmarks, truth))
    print(f"photos: {len(errors)}/{total} found ({100 * len(errors) / total:.2f} %; bar 99.0 %)")
    print(f"photos: landmark error {np.mean(errors):.2f} % of the inter-eye distance (bar 4 %)")
    for scale in (1.0, 0.3):
        for roll in ROLLS:
            report_rolled(detector, photos[::8], roll, scale, min_score)


def report_rolled(
    detector: DetectorNetworks,
    photos: Sequence[tuple[np.ndarray, np.ndarray]],
    roll: float,
    scale: float,
    min_score: float,
) -> None:
    """The same photos turned clockwise by `roll` degrees and shrunk, in the middle of 320 px."""
    errors, leans = [], []
    for photo, landmarks in photos:
        height, width = photo.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), -roll, scale)
        turn[:, 2] += 160 - np.array([width, height]) / 2
        soft = cv2.GaussianBlur(photo, (0, 0), 0.4 / scale) if scale < 1 else photo
        truth = landmarks @ turn[:, :2].T + turn[:, 2]
        (faces,) = detect_faces(
            detector, [cv2.warpAffine(soft, turn, (320, 320))], min_score=min_score
        )
        eyes = np.linalg.norm(truth[1] - truth[0])
        near = [f for f in faces if np.linalg.norm(f.landmarks.mean(0) - truth.mean(0)) < eyes]
        if near:
            errors.append(landmark_error(near[0].landmarks, truth))
            leans.append(abs((roll_of(near[0].landmarks) - roll_of(truth) + 180) % 360 - 180))
    print(
        f"rolled by {roll:4d} degrees at scale {scale}: {100 * len(errors) / len(photos):.1f} % "
        f"found, {100 * np.mean(np.array(leans) < 25):.1f} % of them turned right, "
        f"median landmark error {np.median(errors):.1f} %, roll off by {np.median(leans):.1f}"
    )


def report_media(
    detector: DetectorNetworks, folder: Path, yunet: Reference, min_score: float
) -> None:
    """Group photos, videos, the photo without a face, and heads in hard poses."""
    total = Counts()
    for name in GROUP_PHOTOS + VIDEOS:
        path = folder / name
        frames = spread_frames(path) if name in VIDEOS else [read_photo(path)]
        faces = [detect_faces(detector, [frame], min_score=min_score)[0] for frame in frames]
        counts = compare(frames, faces, yunet)
        total += counts
        print(f"{name}: {counts}")
    print(f"all of these: {total} (bars 90 %, 5 %)")
    for name in ("no_face.png", *HARD_PHOTOS):
        (faces,) = detect_faces(detector, [read_photo(folder / name)], min_score=min_score)
        told = ", ".join(
            f"score {face.score:.2f}, roll {roll_of(face.landmarks):.0f} degrees" for face in faces
        )
        print(f"{name}: {len(faces)} faces{': ' * bool(told)}{told}")


def report_scrfd(detector: DetectorNetworks, folder: Path, scrfd: Scrfd, min_score: float) -> None:
    """How far our landmarks lie from SCRFD's on portraits, one by one and in the middle."""
    for name in PORTRAITS:
        photo = read_photo(folder / name)
        ours = detect_faces(detector, [photo], min_score=min_score)[0][0].landmarks
        theirs = scrfd.detect_faces([photo], min_score=MIN_SCORE)[0][0].landmarks
        halved = nearest_landmarks(scrfd, photo, theirs, HALF_SIDE)
        middle = np.linalg.norm((ours - theirs).mean(0)) / np.linalg.norm(theirs[1] - theirs[0])
        print(
            f"{name}: {landmark_error(ours, theirs):.1f} % of the inter-eye distance from SCRFD "
            f"(bar 3 %), the middle of the five {100 * middle:.1f} %; SCRFD from itself at half "
            f"the size {landmark_error(halved, theirs):.1f} %"
        )


def main() -> None:
    """Load the detector, then one table after the other."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with models/, media/ and eval/"
    )
    bundled = Path("assets/models/simswap-lite-128/detector.safetensors")
    parser.add_argument("--weights", type=Path, default=bundled)
    parser.add_argument("--min-score", type=float, default=SwapOptions.min_score)
    arguments = parser.parse_args()

    detector = FaceDetector(DetectorConfig()).eval()
    detector.load_state_dict(load_tensors(arguments.weights))
    print(
        f"{sum(p.numel() for p in detector.parameters())} parameters, score {arguments.min_score}"
    )
    yunet = Reference(arguments.data / "models" / "yunet_2023mar.onnx")
    with torch.inference_mode():
        scrfd = Scrfd(arguments.data / "models" / "scrfd_2.5g_bnkps.onnx", torch.get_num_threads())
        running = DetectorNetworks.in_torch(detector)
        report_scrfd(running, arguments.data / "media", scrfd, arguments.min_score)
        report_media(running, arguments.data / "media", yunet, arguments.min_score)
        report_photos(running, arguments.data / "eval", yunet, arguments.min_score)


if __name__ == "__main__":
    main()
