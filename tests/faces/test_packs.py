"""Detection by an insightface pack: where packs are found, and that both detectors agree."""

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from simswap import FaceSwapper, ModelError
from simswap.__main__ import main
from simswap.errors import OptionError
from simswap.faces import packs
from tests.support.warm_python import run_warm
from tests.support.weights.tiny_bundle import make_bundle

ROOT = Path(__file__).parents[2]
PORTRAITS = ("official_portrait_1.jpg", "official_portrait_1_second.jpg", "official_portrait_2.jpg")


@pytest.fixture(autouse=True)
def no_pack(monkeypatch, tmp_path):
    """Neither the variable nor a pack in the home of whoever runs the tests."""
    monkeypatch.delenv(packs.PACK_VARIABLE, raising=False)
    monkeypatch.setattr(packs, "PACKS_FOLDER", tmp_path / "insightface" / "models")


@pytest.fixture
def pack(shared_data, tmp_path) -> Path:
    """Real SCRFD weights, laid out as insightface lays out its packs, beside another network."""
    pytest.importorskip("insightface")
    folder = tmp_path / "insightface" / "models" / "buffalo_m"
    folder.mkdir(parents=True)
    shutil.copy(shared_data / "models" / "scrfd_2.5g_bnkps.onnx", folder / "det_2.5g.onnx")
    shutil.copy(shared_data / "models" / "yunet_2023mar.onnx", folder / "aaa.onnx")
    return folder


def read(path: Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def test_a_pack_in_insightfaces_own_place_is_found(pack):
    assert packs.find_pack() == pack
    assert packs.open_detector("auto").path.name == "det_2.5g.onnx"


def test_the_variable_goes_first_and_names_a_pack_or_a_folder_of_packs(pack, monkeypatch, tmp_path):
    other = tmp_path / "mine" / "some_pack"
    shutil.copytree(pack, other)
    for named in (other, other.parent):
        monkeypatch.setenv(packs.PACK_VARIABLE, str(named))
        assert packs.find_pack() == other


def test_well_known_packs_go_before_others(tmp_path):
    for name in ("aardvark", "antelopev2", "buffalo_l"):
        (tmp_path / "insightface" / "models" / name).mkdir(parents=True)
        (tmp_path / "insightface" / "models" / name / "det.onnx").touch()
    assert packs.find_pack().name == "buffalo_l"


def test_a_detector_is_told_by_its_outputs_not_its_name(pack):
    (pack / "det_2.5g.onnx").rename(pack / "zzz.onnx")
    assert packs.open_pack(pack).path.name == "zzz.onnx"


def test_without_a_pack_auto_takes_the_bundled_detector_and_insightface_says_what_to_do():
    assert packs.open_detector("auto") is None
    assert packs.open_detector("bundled") is None
    with pytest.raises(ModelError, match="download --detector buffalo_l"):
        packs.open_detector("insightface")


def test_a_variable_that_names_no_pack_is_an_error_even_for_auto(monkeypatch, tmp_path):
    monkeypatch.setenv(packs.PACK_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"SIMSWAP_INSIGHTFACE=.*nowhere is no folder with ONNX"):
        packs.open_detector("auto")


def test_a_pack_without_scrfd_says_so_of_each_file(tmp_path):
    pytest.importorskip("insightface")
    (tmp_path / "page.onnx").write_text("<html>")
    with pytest.raises(ModelError, match=r"No file in .* is an SCRFD.*page\.onnx is no ONNX"):
        packs.open_pack(tmp_path)


def test_an_unknown_detector_is_refused():
    with pytest.raises(OptionError, match="'retina'"):
        packs.open_detector("retina")


@pytest.mark.slow
@pytest.mark.parametrize("name", PORTRAITS)
def test_both_detectors_put_landmarks_on_the_same_places_of_a_portrait(
    pack, swapper, shared_data, name
):
    """Within a tenth of the inter-eye distance: SCRFD moves half as much with its input size."""
    photo = read(shared_data / "media" / name)
    ours = swapper.detect(photo)[0]
    theirs = packs.open_pack(pack).detect_faces([photo], min_score=0.5)[0][0]
    eyes = np.linalg.norm(theirs.landmarks[0] - theirs.landmarks[1])
    distance = np.linalg.norm(ours.landmarks - theirs.landmarks, axis=1).mean() / eyes
    assert distance < 0.1


def test_faces_are_the_same_in_shape_and_order_as_the_bundled_detectors(pack, shared_data):
    photo = read(shared_data / "media" / "two_people.jpg")
    found = FaceSwapper(make_bundle(), "cpu", "insightface").detect(photo, 0.5)
    assert len(found) == 2
    assert found[0].area >= found[1].area
    for face in found:
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == face.box.dtype == np.float32
        assert (face.landmarks >= face.box[:2]).all()
        assert (face.landmarks <= face.box[2:]).all()
        left, right = face.landmarks[:2]
        assert left[0] < right[0]  # as seen in the image


@pytest.mark.parametrize("shape", [(90, 70, 3), (4000, 4, 3), (1, 1, 3)])
def test_a_frame_without_a_face_gives_none(pack, shape):
    assert packs.open_pack(pack).detect_faces([np.zeros(shape, np.uint8)], min_score=0.5) == [[]]


def surest_cell(path: Path, photo: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Score, box [4] and landmarks [5, 2] of the surest cell, read off the network's outputs."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    scale = 640 / max(photo.shape)
    height, width = (round(length * scale) for length in photo.shape[:2])
    canvas = np.zeros((640, 640, 3), np.float32)
    canvas[:height, :width] = cv2.resize(photo, (width, height))
    pixels = ((canvas - 127.5) / 128).transpose(2, 0, 1)[None]
    outputs = session.run(None, {session.get_inputs()[0].name: pixels})
    scores, reaches, offsets = (
        [part.reshape(-1, length) for part in outputs[kind : kind + 3]]
        for kind, length in ((0, 1), (3, 4), (6, 10))
    )
    level = max(range(3), key=lambda level: scores[level].max())
    best, stride = scores[level].argmax(), (8, 16, 32)[level]
    row, column = divmod(best // 2, 640 // stride)  # two anchors a cell
    cell, reach = np.array([column, row]), reaches[level][best]
    box = np.concatenate([cell - reach[:2], cell + reach[2:]])
    landmarks = cell + offsets[level][best].reshape(5, 2)
    return scores[level].max(), box * stride / scale, landmarks * stride / scale


@pytest.mark.parametrize("name", PORTRAITS)
def test_insightface_gives_the_box_and_the_landmarks_of_the_networks_surest_cell(
    pack, shared_data, name
):
    photo = read(shared_data / "media" / name)
    score, box, landmarks = surest_cell(pack / "det_2.5g.onnx", photo)
    face = packs.open_pack(pack).detect_faces([photo], min_score=0.5)[0][0]
    eyes = np.linalg.norm(landmarks[0] - landmarks[1])
    assert np.abs(face.landmarks - landmarks).max() < 0.05 * eyes  # sizes are rounded otherwise
    assert np.abs(face.box - box).max() < 0.05 * eyes
    assert abs(face.score - score) < 0.02


def test_without_the_package_insightface_a_pack_says_what_to_install(pack, monkeypatch):
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    with pytest.raises(ModelError, match="pip install insightface"):
        packs.open_pack(pack)


def test_the_package_insightface_is_imported_only_for_a_pack():
    code = "import sys, simswap.swapper; sys.exit('insightface' in sys.modules)"
    assert run_warm("-c", code).returncode == 0


@pytest.mark.slow
def test_the_shell_detects_with_a_pack(pack, capfd):
    photo = ROOT / "assets" / "examples" / "astronaut.jpg"
    assert main(["faces", str(photo), "--detector", "insightface", "--min-score", "0.5"]) == 0
    assert capfd.readouterr().out.startswith("1 face in 512x512")


def test_the_shell_says_that_there_is_no_pack(capfd):
    photo = ROOT / "assets" / "examples" / "astronaut.jpg"
    assert main(["faces", str(photo), "--detector", "insightface"]) == 1
    assert "Error: No insightface pack is in" in capfd.readouterr().err
