"""Judges: networks that no loss has seen, which say how good a swap is.

All take photos with five landmarks. Conventions of the pose and the landmark network were found by
trying them on real photos; `python -m train.checks.landmarks` repeats that for the landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simswap import geometry
from simswap.runtime.pixels import network_input
from simswap.weights.bundle import DEFAULT_BUNDLE, load_network, read_config
from train.errors import TrainingError
from train.evaluate.face_model import EXPRESSION, FaceModelNetwork
from train.evaluate.judge_files import JudgeFiles, refuse_teachers

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

IDENTITY_CROP = 112  # px, ArcFace alignment
# Sides of the upright squares around the face, in units of the larger of the distance between the
# eyes and that from eyes to mouth.
POSE_SQUARE = 3.8  # measured: of 2.2 to 4.4, where turning a photo by 15 degrees reads 14.8 +- 1.2
LANDMARK_SQUARE = 2.8  # measured: of 2.0 to 3.6, where points move least with the square
# Measured on 16 people: of 2.4 to 5, where a smile is furthest (1.7) from a second look (0.2).
FACE_MODEL_SQUARE = 3.6
POSE_CROP, LANDMARK_CROP, FACE_MODEL_CROP, FEATURE_CROP = 64, 112, 120, 128  # px
NUM_POINTS = 68
FEATURE_TEMPLATE = "simswap_frontal"
FEATURE_SCALE = 30.0  # brings distances near 10; the network's own scale means nothing
FEATURE_SPACE = (
    f"means (times {FEATURE_SCALE:.0f}) of the 64 feature maps at stride 4 of the face detector "
    f"in {DEFAULT_BUNDLE.name}, on {FEATURE_CROP} px crops"
)


class IdentityJudge:
    """A TorchScript recognition network: [B, 3, 112, 112] RGB [0, 1] -> [B, E]."""

    def __init__(self, path: Path, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        try:
            self.network = torch.jit.load(path, map_location=self.device).eval()
            embedding = self._run(torch.full((2, 3, IDENTITY_CROP, IDENTITY_CROP), 0.5))
        except (RuntimeError, ValueError, AttributeError, TypeError) as error:  # not a tensor out
            raise TrainingError(
                f"The judge {path} does not load and run as a TorchScript network on "
                f"[B, 3, {IDENTITY_CROP}, {IDENTITY_CROP}]: {str(error).strip().splitlines()[-1]}"
            ) from error
        if embedding.ndim != 2 or len(embedding) != 2:
            raise TrainingError(
                f"The judge {path} gives {tuple(embedding.shape)} for two crops; an embedding "
                "each, [2, E], is needed."
            )
        self.embedding_size = embedding.shape[1]

    def embed(self, photos: Sequence[np.ndarray], landmarks: Sequence[np.ndarray]) -> np.ndarray:
        """Unit-norm embeddings [N, E] float32 of the faces at the given landmarks ([5, 2] each)."""
        crops = np.stack(
            [
                aligned_crop(photo, points, "arcface", IDENTITY_CROP)
                for photo, points in zip(photos, landmarks, strict=True)
            ]
        )
        return self._run(network_input(torch.from_numpy(crops))).cpu().numpy()

    @torch.inference_mode()
    def _run(self, crops: Tensor) -> Tensor:
        return F.normalize(self.network(crops.to(self.device)).float(), dim=1)


class PoseJudge:
    """FSA-Net in two variants, averaged: 64 px, BGR, (x - 127.5) / 128 -> yaw, pitch, roll.

    The colour order was checked: with RGB, mirrored photos agree less.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.sessions = [open_onnx(path) for path in paths]

    def angles(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """[3] float32 yaw, pitch and roll in degrees of the face at `landmarks` [5, 2]."""
        square = upright_square(landmarks, POSE_SQUARE, POSE_CROP)
        crop = geometry.warp_to_crop(photo, square, POSE_CROP)[..., ::-1]
        pixels = ((crop.astype(np.float32) - 127.5) / 128).transpose(2, 0, 1)[None]
        angles = [_run_onnx(session, np.ascontiguousarray(pixels)) for session in self.sessions]
        return np.mean(angles, axis=0).reshape(3)


@dataclass(frozen=True)
class PixelConvention:
    """How a network wants its pixels: colour order, then (x - mean) / spread for x in [0, 1]."""

    order: str = "RGB"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    spread: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def apply(self, crops: np.ndarray) -> np.ndarray:
        """[B, S, S, 3] uint8 RGB -> [B, 3, S, S] float32."""
        pixels = crops.astype(np.float32) / 255
        pixels = pixels if self.order == "RGB" else pixels[..., ::-1]
        pixels = (pixels - np.float32(self.mean)) / np.float32(self.spread)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


UNIT_RGB = PixelConvention()


class LandmarkJudge:
    """PFLD: [B, 3, 112, 112] -> 68 points in iBUG's order, as shares of the crop's side."""

    def __init__(self, path: Path, convention: PixelConvention = UNIT_RGB) -> None:
        self.session = open_onnx(path)
        self.convention = convention

    def points(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """[68, 2] float64 (x, y) in pixels of the photo, of the face at `landmarks` [5, 2]."""
        return self.points_in(photo, upright_square(landmarks, LANDMARK_SQUARE, LANDMARK_CROP))

    def points_in(self, photo: np.ndarray, frame_to_crop: np.ndarray) -> np.ndarray:
        """As `points`, seen through a crop given by its transform [2, 3]."""
        crop = geometry.warp_to_crop(photo, frame_to_crop, LANDMARK_CROP)
        shares = _run_onnx(self.session, self.convention.apply(crop[None]))
        points = shares.reshape(NUM_POINTS, 2).astype(np.float64) * LANDMARK_CROP
        return geometry.apply(geometry.invert(frame_to_crop), points)


class FaceModelJudge:
    """Reads the ten expression parameters of faces; on the CPU."""

    def __init__(self, weights: Path, scale: Path) -> None:
        """weights: the network's state dict; scale: .npz of the parameters' `mean` and `std`.

        Raises TrainingError if they are others.
        """
        try:
            stored = torch.load(weights, map_location="cpu", weights_only=True)
            stored = stored.get("state_dict", stored)
            named = {name.removeprefix("module."): value for name, value in stored.items()}
            self.network = FaceModelNetwork().eval()
            # fc_lm, which some releases add, finds landmarks: not asked for.
            wanted = self.network.state_dict()
            self.network.load_state_dict({name: named[name] for name in wanted})
            with np.load(scale) as numbers:
                self.std = numbers["std"][EXPRESSION]
        except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
            raise TrainingError(
                f"The judges {weights.name} and {scale.name} are not 3DDFA_V2's MobileNetV1 of "
                f"half width and the mean and std of its parameters: {error}"
            ) from error

    @torch.inference_mode()
    def expression(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """[10] float32 in 3DDFA's units, less their mean, of the face at `landmarks` [5, 2].

        photo: [H, W, 3] uint8 RGB.
        """
        square = upright_square(landmarks, FACE_MODEL_SQUARE, FACE_MODEL_CROP)
        crop = geometry.warp_to_crop(photo, square, FACE_MODEL_CROP)[..., ::-1]
        pixels = torch.from_numpy((crop.astype(np.float32) - 127.5) / 128).permute(2, 0, 1)[None]
        return self.network(pixels)[0, EXPRESSION].numpy() * self.std


class FeatureSpace:
    """The space of the Frechet distance: a fixed network that no loss and no generator uses.

    The judge's embedding would see persons, not realism. Measured with 300 real crops, the ratio to
    the distance between two halves of real crops is here 1.0 for real, 1.3 for JPEG quality 30, 2.4
    for a blur of 1 px, 5.6 for noise of 8 / 255, 25 for ripples of 6 / 255.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        network = load_network(DEFAULT_BUNDLE, read_config(DEFAULT_BUNDLE), "detector")
        self.network = network.requires_grad_(False).to(self.device)

    @torch.inference_mode()
    def features(self, photos: Sequence[np.ndarray], landmarks: np.ndarray) -> np.ndarray:
        """[N, 64] float32 of the face at `landmarks` [5, 2] in each of N photos."""
        crops = [aligned_crop(photo, landmarks, FEATURE_TEMPLATE, FEATURE_CROP) for photo in photos]
        images = network_input(torch.from_numpy(np.stack(crops)).to(self.device))
        maps = self.network.features(images)
        return (FEATURE_SCALE * maps.mean(dim=(2, 3))).cpu().numpy()


@dataclass(frozen=True, eq=False)
class Judges:
    """Everything that judges; pose, landmarks and face_model are None where files are absent.

    notes: what a reader of the figures should know, in plain words.
    """

    identity: IdentityJudge
    features: FeatureSpace
    pose: PoseJudge | None = None
    landmarks: LandmarkJudge | None = None
    face_model: FaceModelJudge | None = None
    notes: tuple[str, ...] = ()


def load_judges(
    files: JudgeFiles, teachers: Sequence[str] = (), device: str | torch.device = "cpu"
) -> Judges:
    """Load the judges; ONNX ones run on the CPU whatever `device` is.

    teachers: names or paths of the networks in the evaluated model's losses.
    Raises TrainingError if a judge is one of them, or does not load.
    """
    refuse_teachers(files.all_paths, teachers)
    return Judges(
        identity=IdentityJudge(files.identity, device),
        features=FeatureSpace(device),
        pose=PoseJudge(files.pose) if files.pose else None,
        landmarks=LandmarkJudge(files.landmarks) if files.landmarks else None,
        face_model=FaceModelJudge(*files.face_model) if files.face_model else None,
        notes=files.notes,
    )


def aligned_crop(photo: np.ndarray, landmarks: np.ndarray, template: str, size: int) -> np.ndarray:
    """[size, size, 3] uint8 RGB of the face at `landmarks` [5, 2], by a geometry template."""
    frame_to_crop = geometry.frame_to_crop_transform(landmarks, template, size)
    return geometry.warp_to_crop(photo, frame_to_crop, size)


def upright_square(landmarks: np.ndarray, side: float, size: int) -> np.ndarray:
    """[2, 3] from frame to a `size` px crop: an upright square, as detectors' boxes give it.

    side: of the square, in units of the larger of eye distance and eyes-to-mouth distance (the
    eyes of a profile nearly coincide). Not turned with the head, whose roll is to be judged.
    """
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    unit = max(np.linalg.norm(landmarks[1] - landmarks[0]), np.linalg.norm(mouth - eyes))
    scale = size / (side * unit)
    shift = (size - 1) / 2 - scale * (eyes + mouth) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


def open_onnx(path: Path) -> InferenceSession:
    """A session on the CPU with as many threads as torch has.

    Raises TrainingError if onnxruntime is not installed or `path` is not an ONNX network.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as error:
        raise TrainingError(
            f"{path.name} needs onnxruntime: pip install -e '.[train]', or leave that judge out."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Waiting threads would spin on the cores that torch is about to use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (
        states.Fail,
        states.InvalidArgument,
        states.InvalidGraph,
        states.InvalidProtobuf,
        states.NotImplemented,
        states.RuntimeException,
    ) as error:
        raise TrainingError(f"The judge {path} is not an ONNX network: {error}") from error


def _run_onnx(session: InferenceSession, pixels: np.ndarray) -> np.ndarray:
    return session.run(None, {session.get_inputs()[0].name: pixels})[0]
