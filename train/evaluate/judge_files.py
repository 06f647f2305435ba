"""Which files judge: defaults, what is left out, and that none of them was a teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from simswap.files import sha256_of
from train.errors import TrainingError

IDENTITY_FILE = "judge_mobilefacenet_y1.pt"
POSE_FILES = ("fsanet-1x1-iter-688590.onnx", "fsanet-var-iter-688590.onnx")
LANDMARK_FILE = "pfld_68.onnx"
FACE_MODEL_FILES = ("3ddfa_mb05_120.pth", "3ddfa_param_mean_std.npz")
NETWORK_SUFFIXES = (".pt", ".pth", ".ts", ".onnx", ".safetensors")


@dataclass(frozen=True)
class JudgeFiles:
    """Paths of the judges; an empty `pose` or `face_model`, or no `landmarks`, leaves a figure out.

    notes: which figures are left out, and why.
    """

    identity: Path  # TorchScript, [B, 3, 112, 112] RGB [0, 1] -> [B, E]
    pose: tuple[Path, ...] = ()  # FSA-Net, ONNX; averaged
    landmarks: Path | None = None  # PFLD with 68 points, ONNX
    face_model: tuple[Path, ...] = ()  # 3DDFA_V2: state dict, and its parameters' mean and std
    notes: tuple[str, ...] = ()

    @property
    def all_paths(self) -> tuple[Path, ...]:
        """Every file, the identity judge first."""
        landmarks = [self.landmarks] if self.landmarks else []
        return (self.identity, *self.pose, *landmarks, *self.face_model)


def models_folder(data: Path, evaluation_folder: Path) -> Path:
    """Where judges are looked for: DATA/models, or beside an evaluation folder given as DATA."""
    models = data / "models"
    return models if models.is_dir() else evaluation_folder.resolve().parent / "models"


def find_judges(
    folder: Path,
    identity: Path | None = None,
    pose: Sequence[Path] | None = None,
    landmarks: Path | None = None,
) -> JudgeFiles:
    """The judges named, and for those not named (None) the usual files of `folder`.

    Raises TrainingError if there is no identity judge, or a named file is missing.
    """
    for path in (identity, *(pose or ()), landmarks):
        if path is not None and not path.is_file():
            raise TrainingError(f"The judge {path} does not exist. Check the path.")
    if identity is None:
        identity = folder / IDENTITY_FILE
        if not identity.is_file():
            raise TrainingError(
                f"There is no identity judge at {identity}. Name a TorchScript face recognition "
                "network that no loss has seen with --judge."
            )
    notes = []
    if pose is None:
        pose = tuple(folder / name for name in POSE_FILES)
        if absent := [path.name for path in pose if not path.is_file()]:
            pose = ()
            notes.append(f"Pose error left out: no {' and '.join(absent)} in {folder}.")
    if landmarks is None:
        landmarks = folder / LANDMARK_FILE
        if not landmarks.is_file():
            landmarks = None
            notes.append(f"Expression error left out: no {LANDMARK_FILE} in {folder}.")
    face_model = tuple(folder / name for name in FACE_MODEL_FILES)
    if absent := [path.name for path in face_model if not path.is_file()]:
        face_model = ()
        notes.append(f"Expression by 3DDFA left out: no {' and '.join(absent)} in {folder}.")
    return JudgeFiles(identity, tuple(pose), landmarks, face_model, tuple(notes))


def teachers_of(training: Mapping[str, object]) -> tuple[str, ...]:
    """The teachers that a bundle's `training` facts name (names or paths); () if it names none.

    Raises TrainingError if they are not a list of strings.
    """
    teachers = training.get("teachers", [])
    if not isinstance(teachers, Sequence) or isinstance(teachers, str):
        teachers = [teachers]
    if not all(isinstance(teacher, str) for teacher in teachers):
        raise TrainingError(
            f"The model's config.json names teachers {teachers!r}; a list of names is needed to "
            "tell that no judge is one of them."
        )
    return tuple(teachers)


def refuse_teachers(judges: Sequence[Path], teachers: Sequence[str]) -> None:
    """Raise TrainingError if a judge is one of the teachers, by name or by content.

    teachers: names or paths. Content is compared where a teacher's file is found, as given or
    beside the judge: a copy under another name is no judge either.
    """
    for judge in judges:
        for teacher in teachers:
            same_content = any(
                sha256_of(path) == sha256_of(judge) for path in _files_of(teacher, judge.parent)
            )
            if same_content or _stem(teacher) == _stem(judge.name):
                raise TrainingError(
                    f"The judge {judge} was a teacher of this model ({teacher}): a generator "
                    "learns to please its teachers, so their praise says nothing. Name another "
                    "network."
                )


def _files_of(teacher: str, folder: Path) -> list[Path]:
    places = [Path(teacher), folder / Path(teacher).name]
    names = [place.with_name(place.name + end) for place in places for end in NETWORK_SUFFIXES]
    return [path for path in [*places, *names] if path.is_file()]


def _stem(name: str) -> str:
    """The file name less a network's suffix; a dot elsewhere, as in `v1.5`, belongs to the name."""
    path = Path(name)
    return path.stem if path.suffix in NETWORK_SUFFIXES else path.name
