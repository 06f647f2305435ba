"""Judges: which files they are, that no teacher is one, and that they judge what they should."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from simswap import FaceSwapper, geometry
from simswap.media.photos import read_photo
from train.checks.landmarks import compare_landmarks
from train.checks.landmarks import main as check_landmarks_main
from train.errors import TrainingError
from train.evaluate.judge_files import (
    FACE_MODEL_FILES,
    IDENTITY_FILE,
    LANDMARK_FILE,
    POSE_FILES,
    JudgeFiles,
    find_judges,
    refuse_teachers,
    teachers_of,
)
from train.evaluate.judges import (
    FaceModelJudge,
    FeatureSpace,
    IdentityJudge,
    LandmarkJudge,
    PixelConvention,
    PoseJudge,
    load_judges,
    upright_square,
)
from train.evaluate.measurements import expression_error
from train.evaluate.pairs import PHOTOS_FOLDER, read_landmarks


class TinyRecogniser(nn.Module):
    """[B, 3, 112, 112] -> [B, 27]: mean colours of nine cells."""

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(crops - 0.5, 3).flatten(1)


def save_judge(path: Path, network: nn.Module | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.jit.save(torch.jit.script(network or TinyRecogniser()), path)
    return path


@pytest.fixture
def judge_file(tmp_path: Path) -> Path:
    return save_judge(tmp_path / "models" / IDENTITY_FILE)


@pytest.fixture
def portrait(swapper: FaceSwapper, astronaut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A photo and the landmarks of its face."""
    return astronaut, swapper.detect(astronaut)[0].landmarks.astype(np.float64)


def test_a_missing_identity_judge_is_an_error_that_names_the_option(tmp_path):
    with pytest.raises(TrainingError, match=rf"{IDENTITY_FILE}.*--judge"):
        find_judges(tmp_path)


def test_a_named_judge_that_is_missing_is_an_error(judge_file):
    with pytest.raises(TrainingError, match=r"nowhere\.onnx does not exist"):
        find_judges(judge_file.parent, landmarks=Path("nowhere.onnx"))


def test_missing_judges_of_pose_and_expression_are_left_out_with_a_note(judge_file):
    files = find_judges(judge_file.parent)
    assert files.pose == files.face_model == ()
    assert files.landmarks is None
    assert [note.split(" left out")[0] for note in files.notes] == [
        "Pose error",
        "Expression error",
        "Expression by 3DDFA",
    ]


@pytest.mark.parametrize("teacher", ["net", "net.pt", "elsewhere/net.pt"])
def test_a_judge_with_a_teachers_name_is_refused(tmp_path, teacher):
    with pytest.raises(TrainingError, match="was a teacher"):
        refuse_teachers([save_judge(tmp_path / "net.pt")], ["other", teacher])


def test_a_copy_of_a_teacher_under_another_name_is_refused(tmp_path):
    teacher = save_judge(tmp_path / "teachers" / "net.pt")
    copy = tmp_path / "judge.pt"
    shutil.copy(teacher, copy)
    with pytest.raises(TrainingError, match="was a teacher"):
        refuse_teachers([copy], [str(teacher)])


def test_a_copy_beside_a_teacher_known_by_name_only_is_refused(tmp_path):
    shutil.copy(save_judge(tmp_path / "net.pt"), tmp_path / "judge.pt")
    with pytest.raises(TrainingError, match="was a teacher"):
        refuse_teachers([tmp_path / "judge.pt"], ["net"])


def test_a_judge_is_accepted_whose_name_begins_like_a_teachers(tmp_path):
    refuse_teachers([save_judge(tmp_path / "net.v2.pt")], ["net", "net.v1"])


def test_loading_refuses_a_teacher(judge_file):
    with pytest.raises(TrainingError, match="was a teacher"):
        load_judges(JudgeFiles(judge_file), teachers=[judge_file.stem])


def test_teachers_that_are_no_names_are_refused():
    with pytest.raises(TrainingError, match="list of names"):
        teachers_of({"teachers": [{"path": "net.pt"}]})


def test_a_file_that_is_no_network_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "judge.pt"
    path.write_bytes(b"no network")
    with pytest.raises(TrainingError, match=r"judge\.pt does not load"):
        IdentityJudge(path)


def test_a_judge_that_gives_maps_instead_of_embeddings_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"\[2, E\]"):
        IdentityJudge(save_judge(tmp_path / "maps.pt", nn.Sequential(nn.Conv2d(3, 4, 3))))


def test_a_file_that_is_no_onnx_network_is_an_error_that_names_it(tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "pose.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(TrainingError, match=r"pose\.onnx is not an ONNX network"):
        PoseJudge([path])


def test_embeddings_have_unit_norm_and_follow_the_face(judge_file, portrait):
    photo, landmarks = portrait
    shifted = np.roll(photo, (5, 9), axis=(0, 1))
    first, second = IdentityJudge(judge_file).embed(
        [photo, shifted], [landmarks, landmarks + np.array([9, 5])]
    )
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert first == pytest.approx(second, abs=2e-3)


def test_features_tell_a_blurred_face_from_a_sharp_one(portrait):
    photo, landmarks = portrait
    sharp, same, blurred = FeatureSpace().features(
        [photo, photo.copy(), cv2.GaussianBlur(photo, (0, 0), 6)], landmarks
    )
    assert np.array_equal(sharp, same)
    assert np.abs(sharp - blurred).max() > 1


def test_the_upright_square_is_centred_on_the_face_and_not_turned(portrait):
    landmarks = portrait[1]
    square = upright_square(landmarks, 3.0, 64)
    middle = (landmarks[:2].mean(0) + landmarks[3:].mean(0)) / 2
    assert geometry.apply(square, middle) == pytest.approx([31.5, 31.5])
    assert square[0, 1] == square[1, 0] == 0


def test_pixel_conventions_order_shift_and_scale():
    crop = np.zeros((1, 2, 2, 3), np.uint8)
    crop[..., 0] = 255
    pixels = PixelConvention("BGR", (0.5,) * 3, (0.25,) * 3).apply(crop)
    assert pixels[0, :, 0, 0] == pytest.approx([-2, -2, 2])


def test_landmarks_that_are_only_moved_differ_by_nothing_once_fitted():
    reference = geometry.TEMPLATES["arcface"][None] * 112
    check = compare_landmarks(reference + np.array([3.0, 0.0]), reference)
    eyes = np.linalg.norm(reference[0, 1] - reference[0, 0])
    assert check.distance == pytest.approx(300 / eyes)
    assert check.fitted_distance == pytest.approx(0, abs=1e-9)


def test_the_pose_judge_reads_the_angle_by_which_a_photo_is_turned(shared_data, portrait):
    photo, landmarks = portrait
    judge = PoseJudge([shared_data / "models" / name for name in POSE_FILES])
    turn = cv2.getRotationMatrix2D(landmarks.mean(0), -15, 1)
    turned = cv2.warpAffine(photo, turn, photo.shape[1::-1])
    change = judge.angles(turned, geometry.apply(turn, landmarks)) - judge.angles(photo, landmarks)
    assert change[2] == pytest.approx(15, abs=3)


def test_the_pose_judge_sees_a_mirrored_head_turned_the_other_way(shared_data, portrait):
    photo, landmarks = portrait
    judge = PoseJudge([shared_data / "models" / name for name in POSE_FILES])
    mirrored = landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [photo.shape[1] - 1, 0]
    angles = judge.angles(np.ascontiguousarray(photo[:, ::-1]), mirrored)
    assert angles == pytest.approx(judge.angles(photo, landmarks) * [-1, 1, -1], abs=4)


def test_the_landmark_judge_repeats_itself_on_a_turned_photo(shared_data, portrait):
    photo, landmarks = portrait
    judge = LandmarkJudge(shared_data / "models" / LANDMARK_FILE)
    turn = cv2.getRotationMatrix2D(landmarks.mean(0), 5, 1.1)
    turned = cv2.warpAffine(photo, turn, photo.shape[1::-1])
    points = judge.points(turned, geometry.apply(turn, landmarks))
    assert expression_error(points, judge.points(photo, landmarks)) < 3


def test_the_face_model_tells_a_smile_from_a_second_look(shared_data):
    judge = FaceModelJudge(*(shared_data / "models" / name for name in FACE_MODEL_FILES))
    folder, disturbed = shared_data / "portraits", np.array([4.0, -4.0])
    landmarks = read_landmarks(folder)
    looks, smiles = [], []
    for neutral in sorted(name for name in landmarks if "neutral" in name)[:6]:
        smiling = neutral.replace("neutral", "smiling")
        photo, other = (read_photo(folder / PHOTOS_FOLDER / n).image for n in (neutral, smiling))
        read = judge.expression(photo, landmarks[neutral])
        again = judge.expression(photo, landmarks[neutral] + disturbed)
        looks.append(np.linalg.norm(again - read))
        smiles.append(np.linalg.norm(judge.expression(other, landmarks[smiling]) - read))
    assert np.mean(smiles) > 4 * np.mean(looks)


def test_another_network_than_3ddfa_is_refused_by_name(tmp_path):
    weights = tmp_path / "other.pth"
    torch.save({"state_dict": {"conv1.weight": torch.zeros(1)}}, weights)
    with pytest.raises(TrainingError, match=r"other\.pth and scale\.npz are not 3DDFA_V2's"):
        FaceModelJudge(weights, tmp_path / "scale.npz")


@pytest.mark.slow
def test_a_second_reference_sides_with_the_landmark_judge_against_the_first(shared_data, capsys):
    scrfd = shared_data / "models" / "scrfd_2.5g_bnkps.onnx"
    arguments = ["--data", str(shared_data), "--every", "120", "--second-reference", str(scrfd)]
    assert check_landmarks_main(arguments) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    against_scrfd = {row[0]: float(row[3]) for row in rows if row[1:2] == [scrfd.name]}
    assert against_scrfd["| RGB, 0 to 1"] < against_scrfd["| photos.csv"]


def test_the_landmark_check_tells_what_judge_is_missing(tmp_path, capsys):
    columns = ",".join(f"{axis}{i}" for i in range(5) for axis in "xy")
    (tmp_path / "photos.csv").write_text(f"file,{columns}\n")
    assert check_landmarks_main(["--data", str(tmp_path)]) == 1
    assert "--landmark-judge" in capsys.readouterr().err
