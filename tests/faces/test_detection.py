"""Detection with the bundled detector on the example photo, and its parts on made-up values."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file

from simswap.faces.detection import detect_faces, letterbox, pieces
from simswap.faces.nms import Candidates, overlaps, suppress_doubles, to_faces
from simswap.faces.rolled import roll_of
from simswap.geometry import TEMPLATES, apply
from simswap.models.detector import DetectorConfig, FaceDetector
from simswap.runtime.networks import DetectorNetworks
from simswap.types import Face

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def detector() -> DetectorNetworks:
    detector = FaceDetector(DetectorConfig()).eval()
    weights = ROOT / "assets" / "models" / "simswap-lite-128" / "detector.safetensors"
    detector.load_state_dict(load_file(weights))
    return DetectorNetworks.in_torch(detector)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    """A photo of one upright face, about 100 px wide, on 300 x 300 px."""
    photo = cv2.imread(str(ROOT / "assets" / "examples" / "astronaut.jpg"))
    return cv2.cvtColor(photo, cv2.COLOR_BGR2RGB)[:300, 60:360].copy()


def only_face(detector: DetectorNetworks, frame: np.ndarray, **options: float) -> Face:
    (faces,) = detect_faces(detector, [frame], **options)
    assert len(faces) == 1
    return faces[0]


def overlap(box: np.ndarray, other: np.ndarray) -> float:
    return float(overlaps(box, other[None])[0][0])


def shifted(face: Face, x: float, y: float) -> np.ndarray:
    return face.box + np.array([x, y, x, y])


def candidates(*rows: tuple[float, tuple[float, ...]]) -> Candidates:
    """Score and box each; all landmarks at the box's upper left corner."""
    scores = np.array([score for score, _ in rows])
    boxes = np.array([box for _, box in rows], float).reshape(-1, 4)
    landmarks = np.repeat(boxes[:, None, :2], 5, axis=1)
    is_rolled = np.zeros(len(rows), bool)
    return Candidates(scores, boxes, landmarks, is_rolled, is_rolled)


def test_the_landmarks_of_an_upright_face_lie_where_they_are_named(detector, portrait):
    face = only_face(detector, portrait)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.parametrize(("quarters", "roll"), [(1, -90), (2, 180), (3, 90)])
def test_a_rolled_head_is_found_and_its_landmarks_keep_their_names(
    detector, portrait, quarters: int, roll: int
):
    upright = only_face(detector, portrait)
    rolled = only_face(detector, np.ascontiguousarray(np.rot90(portrait, quarters)))
    side = portrait.shape[0] - 1
    points = upright.landmarks
    for _ in range(quarters):  # np.rot90 takes (x, y) to (y, side - x)
        points = np.stack([points[:, 1], side - points[:, 0]], axis=1)
    eyes = np.linalg.norm(points[1] - points[0])
    assert np.linalg.norm(rolled.landmarks - points, axis=1).mean() < 0.2 * eyes
    assert abs((roll_of(rolled.landmarks) - roll + 180) % 360 - 180) < 20


@pytest.mark.parametrize("angle", [30, 60, 120, 225])
def test_a_head_rolled_by_any_angle_is_found(detector, portrait, angle: int):
    turn = cv2.getRotationMatrix2D((150, 150), -angle, 0.7)
    face = only_face(detector, cv2.warpAffine(portrait, turn, (300, 300)))
    assert abs((roll_of(face.landmarks) - angle + 180) % 360 - 180) < 20


def test_a_shifted_frame_shifts_the_face(detector, portrait):
    before = only_face(detector, portrait)
    # 64 px are whole cells of every stride, so the network sees the same.
    after = only_face(detector, np.pad(portrait, ((64, 0), (64, 0), (0, 0))))
    assert overlap(after.box, shifted(before, 64, 64)) > 0.97
    np.testing.assert_allclose(after.landmarks, before.landmarks + 64, atol=2)


@pytest.mark.parametrize("scale", [0.5, 1.7, 4.0, 8.0])
def test_a_resized_frame_resizes_the_face(detector, portrait, scale: float):
    before = only_face(detector, portrait)
    after = only_face(detector, cv2.resize(portrait, None, fx=scale, fy=scale))
    assert overlap(after.box, before.box * scale) > 0.75
    eyes = np.linalg.norm(before.landmarks[1] - before.landmarks[0])
    error = np.linalg.norm(after.landmarks / scale - before.landmarks, axis=1).mean()
    assert error < 0.15 * eyes


def test_padding_below_and_right_changes_nothing(detector, portrait):
    padded = np.pad(portrait, ((0, 20), (0, 20), (0, 0)))
    before, after = only_face(detector, portrait), only_face(detector, padded)
    np.testing.assert_allclose(after.box, before.box, atol=1e-2)


def test_a_face_of_20_px_at_640_is_found(detector, portrait):
    face = only_face(detector, portrait)
    scale = 20 / (face.box[2] - face.box[0])
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.full((640, 640, 3), 127, np.uint8)
    frame[300 : 300 + small.shape[0], 200 : 200 + small.shape[1]] = small
    found = only_face(detector, frame)
    assert overlap(found.box, face.box * scale + np.array([200, 300, 200, 300])) > 0.5


def test_small_faces_in_a_large_photo_are_found(detector, portrait):
    small = cv2.resize(portrait, (140, 140), interpolation=cv2.INTER_AREA)  # face of 48 px
    frame = np.full((1600, 2400, 3), 127, np.uint8)
    places = [(100, 100), (700, 1500), (1300, 2200)]
    for y, x in places:
        frame[y : y + 140, x : x + 140] = small
    assert len(detect_faces(detector, [frame])[0]) == len(places)


def filling(portrait: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray]:
    """A face cut out within its own outline, at 640 px; where its landmarks lie there."""
    x0, y0, x1, y1 = (face.box + np.array([6, 22, -6, -6])).astype(int)
    scale = 640 / max(x1 - x0, y1 - y0)
    tight = cv2.resize(portrait[y0:y1, x0:x1], None, fx=scale, fy=scale)
    return tight, (face.landmarks - [x0, y0] + 0.5) * scale - 0.5


@pytest.mark.parametrize("is_tall", [False, True])
def test_small_faces_of_a_panorama_are_found_once_each(detector, portrait, is_tall):
    small = cv2.resize(portrait, (180, 180), interpolation=cv2.INTER_AREA)  # its face: 60 px
    long, short = 9000, 1000
    panorama = np.full((long, short, 3) if is_tall else (short, long, 3), 120, np.uint8)
    places = [(0, 0), (1380, 300), (4000, 700), (5700, 820), (8820, 500)]
    for along, across in places:
        row, column = (along, across) if is_tall else (across, along)
        panorama[row : row + 180, column : column + 180] = small
    (faces,) = detect_faces(detector, [panorama])
    middles = sorted(float(face.box[[int(is_tall), 2 + int(is_tall)]].mean()) for face in faces)
    assert len(faces) == len(places)
    assert np.abs(np.array(middles) - [along + 90 for along, _ in places]).max() < 30


@pytest.mark.parametrize("shape", [(720, 1280), (1000, 2390), (3000, 4000), (400, 1280)])
def test_what_is_no_panorama_is_searched_as_a_whole(shape):
    assert pieces(*shape) == []


@pytest.mark.parametrize("shape", [(3000, 16_000), (65_500, 900), (1000, 3000)])
def test_pieces_cover_a_panorama_and_overlap(shape):
    starts, ends = np.array(pieces(*shape)).T
    assert (starts[0], ends[-1]) == (0, max(shape))
    assert (ends[:-1] - starts[1:] >= 0.49 * min(shape)).all()
    assert 2 <= len(starts) <= 12


def test_a_face_that_fills_its_photo_and_more_is_found(detector, portrait):
    tight, landmarks = filling(portrait, only_face(detector, portrait))
    found = only_face(detector, tight)
    inter_eye = np.linalg.norm(landmarks[1] - landmarks[0])
    assert np.linalg.norm(found.landmarks - landmarks, axis=1).max() < 0.12 * inter_eye


def test_a_face_that_fills_its_photo_is_found_beside_frames_without_one(detector, portrait):
    tight, _ = filling(portrait, only_face(detector, portrait))
    frames = [np.zeros_like(tight), tight, np.zeros_like(tight)]
    assert [len(faces) for faces in detect_faces(detector, frames)] == [0, 1, 0]


def test_faces_come_largest_first(detector, portrait):
    frame = np.zeros((300, 640, 3), np.uint8)
    frame[:150, :150] = cv2.resize(portrait, (150, 150), interpolation=cv2.INTER_AREA)
    frame[:, 340:] = portrait
    first, second = detect_faces(detector, [frame])[0]
    assert first.area > second.area
    assert first.box[0] > 340 > second.box[2]


@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (16, 500), (700, 20)])
def test_frames_of_odd_sizes_are_taken(detector, shape: tuple[int, int]):
    assert detect_faces(detector, [np.full((*shape, 3), 90, np.uint8)]) == [[]]


def test_noise_and_flat_frames_show_no_face(detector):
    noise = np.random.RandomState(0).randint(0, 256, (480, 480, 3)).astype(np.uint8)
    flat = [np.full((480, 480, 3), value, np.uint8) for value in (0, 128, 255)]
    assert detect_faces(detector, [noise, *flat]) == [[], [], [], []]


def test_no_frames_give_no_lists(detector):
    assert detect_faces(detector, []) == []


def test_frames_of_several_sizes_give_the_same_together_as_alone(detector, portrait):
    frames = [portrait, portrait[:280], portrait[:, ::-1].copy()]
    together = detect_faces(detector, frames)
    for frame, (face,) in zip(frames, together, strict=True):
        np.testing.assert_allclose(only_face(detector, frame).box, face.box, atol=1e-2)


def test_detection_repeats_exactly(detector, portrait):
    frame = np.ascontiguousarray(np.rot90(portrait))
    first, second = only_face(detector, frame), only_face(detector, frame)
    assert first.score == second.score
    np.testing.assert_array_equal(first.landmarks, second.landmarks)


def test_faces_below_the_smallest_size_or_score_are_left_out(detector, portrait):
    face = only_face(detector, portrait)
    shorter_side = float(min(face.box[2:] - face.box[:2]))
    assert detect_faces(detector, [portrait], min_face=shorter_side + 1) == [[]]
    assert detect_faces(detector, [portrait], min_score=min(face.score + 0.01, 0.99)) == [[]]


@pytest.mark.parametrize("frame", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), np.float32)])
def test_a_frame_of_another_kind_is_refused(detector, frame: np.ndarray):
    with pytest.raises(ValueError, match="must be uint8"):
        detect_faces(detector, [frame])


def test_letterbox_puts_pixel_centres_where_its_transform_says():
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[80:90, 120:130] = 255
    images, frame_to_image = letterbox([frame], 200)
    assert images.shape == (1, 3, 192, 256)
    rows, columns = np.nonzero(images[0, 0].numpy() > 0.5)
    centre = apply(frame_to_image, np.array([124.5, 84.5]))
    np.testing.assert_allclose([columns.mean(), rows.mean()], centre, atol=1e-6)


def test_letterbox_leaves_a_margin_and_says_so():
    frame = np.full((300, 400, 3), 255, np.uint8)
    images, frame_to_image = letterbox([frame], 200, margin=20)
    rows, columns = np.nonzero(images[0, 0].numpy())
    assert (rows.min(), columns.min()) == (20, 20)
    centre = apply(frame_to_image, np.array([199.5, 149.5]))
    np.testing.assert_allclose([columns.mean(), rows.mean()], centre, atol=1e-6)


def test_suppression_keeps_the_surest_of_overlapping_boxes():
    kept = suppress_doubles(
        candidates((0.8, (0, 0, 10, 10)), (0.9, (1, 1, 11, 11)), (0.7, (40, 0, 50, 10)))
    )
    assert kept.scores.tolist() == [0.9, 0.7]


def test_suppression_drops_a_part_of_a_surer_face():
    kept = suppress_doubles(candidates((0.9, (0, 0, 100, 100)), (0.8, (10, 10, 40, 40))))
    assert kept.scores.tolist() == [0.9]


def test_suppressing_twice_keeps_the_same_boxes():
    random = np.random.RandomState(0)
    corners = random.uniform(0, 100, (60, 2))
    boxes = np.hstack([corners, corners + random.uniform(5, 40, (60, 2))])
    scores = random.uniform(0, 1, 60)
    once = suppress_doubles(candidates(*zip(scores, boxes, strict=True)))
    twice = suppress_doubles(once)
    np.testing.assert_array_equal(once.boxes, twice.boxes)
    assert (np.diff(once.scores) <= 0).all()


def test_nothing_suppressed_is_nothing():
    assert len(suppress_doubles(candidates()).scores) == 0


@pytest.mark.parametrize("roll", [-170, -90, -30, 0, 45, 90, 180])
def test_roll_is_that_by_which_the_landmarks_are_turned(roll: int):
    turn = cv2.getRotationMatrix2D((0, 0), -roll, 50)
    landmarks = apply(turn, TEMPLATES["arcface"])
    assert abs((roll_of(landmarks) - roll + 180) % 360 - 180) < 1e-6


def test_a_box_ends_a_frames_side_beyond_the_frame():
    boxes, landmarks = np.array([[-1e9, 3, 1e9, 90]]), np.zeros((1, 5, 2))
    rolled = np.zeros(1, bool)
    (face,) = to_faces(Candidates(np.ones(1), boxes, landmarks, rolled, rolled), (60, 80, 3))
    assert face.box.tolist() == [-80, 3, 160, 90]


def test_frames_of_all_sizes_give_the_network_few():
    """OpenVINO keeps memory for each."""
    seen = set()
    for width in range(32, 641, 32):
        for height in range(32, 641, 32):
            frame = np.zeros((height, width, 3), np.uint8)
            seen.add(tuple(letterbox([frame], max(width, height))[0].shape))
    assert len(seen) <= 64
