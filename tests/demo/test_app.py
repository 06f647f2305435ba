"""The demo's endpoints, called by the real client, and what its helpers promise."""

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from simswap import Face, SwapOptions
from simswap.errors import MediaError
from simswap.provenance.metadata import COMPOSITE_WITH_MODEL, read_label
from tests.support.demo.demo_server import run_as_demo

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
ASTRONAUT, ADMIRAL = EXAMPLES / "astronaut.jpg", EXAMPLES / "grace_hopper.jpg"
TWO_PEOPLE = EXAMPLES / "two_portraits.jpg"


@pytest.fixture(scope="module")
def client(demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(demo_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def swap(client: Client) -> tuple[str, dict]:
    """The admiral's face in the astronaut's portrait, with the defaults."""
    return client.predict(
        source=[handle_file(ADMIRAL)], target=handle_file(ASTRONAUT), api_name="/swap_image"
    )


def pixels(path: Path | str) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def near_faces(path: Path, faces: list[dict], share: float) -> np.ndarray:
    """Mask of the boxes, grown on each side by `share` of their size."""
    width, height = Image.open(path).size
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in (face["box"] for face in faces):
        dx, dy = share * (x1 - x0), share * (y1 - y0)
        mask[max(int(y0 - dy), 0) : int(y1 + dy), max(int(x0 - dx), 0) : int(x1 + dx)] = True
    return mask


def detect(client: Client, path: Path) -> list[dict]:
    return client.predict(handle_file(path), api_name="/detect_faces")


def test_endpoints_and_their_parameters_are_these(client: Client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    parameters = {
        name: {
            parameter["parameter_name"]: parameter.get("parameter_default")
            for parameter in endpoint["parameters"]
        }
        for name, endpoint in endpoints.items()
    }
    assert parameters == {
        "/swap_image": {
            "source": None,
            "target": None,
            "faces": "all",
            "format": "png",
            "match_colour": True,
            "mask_softness": SwapOptions().mask_softness,
            "consent": False,
            "model": None,
            "likeness": 1.0,
            "keep": "",
            "occlusion_mask": True,
        },
        "/swap_video": {
            "source": None,
            "target": None,
            "faces": "all",
            "start": 0.0,
            "end": None,
            "format": "mp4",
            "crf": None,
            "detect_every": 3,
            "match_colour": True,
            "mask_softness": SwapOptions().mask_softness,
            "consent": False,
            "model": None,
            "likeness": 1.0,
            "keep": "",
            "occlusion_mask": True,
        },
        "/detect_faces": {"photo": None, "min_score": 0.7, "model": None},
        "/verify": {"file": None},
    }


def test_swap_changes_the_face_and_no_pixel_far_from_it(client: Client, swap: tuple[str, dict]):
    before, after = pixels(ASTRONAUT), pixels(swap[0])
    faces = detect(client, ASTRONAUT)
    changed = (before != after).any(axis=2)
    assert after.shape == before.shape
    assert changed[near_faces(ASTRONAUT, faces, -0.2)].mean() > 0.9
    assert not changed[~near_faces(ASTRONAUT, faces, 0.6)].any()


def test_result_is_a_png_that_says_it_is_synthetic(swap: tuple[str, dict]):
    with Image.open(swap[0]) as result:
        assert result.format == "PNG"
    assert read_label(swap[0]).digital_source_type == COMPOSITE_WITH_MODEL


def test_summary_counts_faces_and_seconds(swap: tuple[str, dict]):
    summary = swap[1]
    assert (summary["num_faces"], summary["swapped"], summary["notices"]) == (1, [0], [])
    assert 0 < summary["seconds"] < 60


def test_one_source_needs_no_list_and_options_go_by_name(client: Client):
    result, summary = client.predict(
        source=handle_file(ASTRONAUT),
        target=handle_file(TWO_PEOPLE),
        faces="1",
        format="jpeg",
        match_colour=False,
        mask_softness=0.2,
        api_name="/swap_image",
    )
    with Image.open(result) as photo:
        assert (photo.format, photo.size) == ("JPEG", (960, 480))
    assert (summary["num_faces"], summary["swapped"]) == (2, [1])
    assert read_label(result).digital_source_type == COMPOSITE_WITH_MODEL


def test_only_the_picked_face_changes(client: Client):
    result, _ = client.predict(
        source=[handle_file(ADMIRAL)],
        target=handle_file(TWO_PEOPLE),
        faces="1",
        api_name="/swap_image",
    )
    changed = (pixels(TWO_PEOPLE) != pixels(result)).any(axis=2)
    other, picked = (near_faces(TWO_PEOPLE, [f], 0.1) for f in detect(client, TWO_PEOPLE))
    assert changed[picked].any()
    assert not changed[other].any()


def test_several_faces_in_a_source_are_told(client: Client):
    _, summary = client.predict(
        source=[handle_file(TWO_PEOPLE)], target=handle_file(ASTRONAUT), api_name="/swap_image"
    )
    assert any("2 faces" in notice for notice in summary["notices"])


def test_detected_faces_come_largest_first_with_five_landmarks_inside(client: Client):
    faces = detect(client, TWO_PEOPLE)
    sizes = [(f["box"][2] - f["box"][0]) * (f["box"][3] - f["box"][1]) for f in faces]
    assert len(faces) == 2
    assert sizes == sorted(sizes, reverse=True)
    for face in faces:
        x0, y0, x1, y1 = face["box"]
        assert all(x0 < x < x1 and y0 < y < y1 for x, y in face["landmarks"])
        assert len(face["landmarks"]) == 5
        assert SwapOptions().min_score <= face["score"] <= 1


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.jpg").write_text("not a photo")
    (folder / "empty.png").write_bytes(b"")
    Image.new("RGB", (320, 240), (90, 120, 90)).save(folder / "meadow.png")
    return folder


@pytest.mark.parametrize(
    ("source", "target", "options", "sentence"),
    [
        ("meadow.png", ASTRONAUT, {}, "source photo shows no face"),
        (ADMIRAL, "meadow.png", {}, "target photo shows no face"),
        ("text.jpg", ASTRONAUT, {}, "not a photo"),
        (ADMIRAL, "text.jpg", {}, "not a photo"),
        (ADMIRAL, "empty.png", {}, "empty"),
        (ADMIRAL, ASTRONAUT, {"faces": "nose"}, "faces='nose' is not known"),
        (ADMIRAL, ASTRONAUT, {"faces": "7"}, "no face number 7"),
        (ADMIRAL, ASTRONAUT, {"faces": ""}, "picks no face"),
        (ADMIRAL, ASTRONAUT, {"format": "tiff"}, "format='tiff' is not known"),
        (ADMIRAL, ASTRONAUT, {"mask_softness": 7}, "mask_softness=7"),
    ],
)
def test_a_mistake_comes_back_as_a_sentence_without_a_path(
    client: Client, bad_files: Path, source: Path | str, target: Path | str, options, sentence
):
    with pytest.raises(AppError, match=sentence) as caught:
        client.predict(
            source=[handle_file(bad_files / source)],  # an absolute path stays as it is
            target=handle_file(bad_files / target),
            **options,
            api_name="/swap_image",
        )
    assert "Traceback" not in str(caught.value)
    assert "/" not in str(caught.value)


@pytest.mark.parametrize(("num_sources", "sentence"), [(0, "no source photo"), (9, "too many")])
def test_the_number_of_source_photos_is_limited(client: Client, num_sources: int, sentence: str):
    source = [handle_file(ADMIRAL)] * num_sources
    with pytest.raises(AppError, match=sentence):
        client.predict(source=source, target=handle_file(ASTRONAUT), api_name="/swap_image")


def test_a_request_cannot_make_the_server_read_its_own_files(demo_url: str):
    file = {"path": str(ASTRONAUT), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [[file], file, "all", "png", True, 0.08, True, None]}).encode()
    headers = {"Content-Type": "application/json"}
    call = f"{demo_url}/gradio_api/call/swap_image"
    with urllib.request.urlopen(urllib.request.Request(call, body, headers)) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}", timeout=60) as answer:
        stream = answer.read().decode()
    assert "event: error" in stream
    assert "event: complete" not in stream


@pytest.mark.slow
def test_an_unknown_model_ends_the_start_in_one_sentence(tmp_path):
    start = run_as_demo("app.py", stored=tmp_path, SIMSWAP_MODEL="no-such-folder")
    assert start.returncode == 1
    assert start.stderr.strip().splitlines()[-1].startswith("app.py: no-such-folder is neither")
    assert "Traceback" not in start.stderr


def test_read_upload_refuses_a_path_outside_the_upload_folder(monkeypatch, tmp_path: Path):
    from simswap.demo.services.uploads import read_upload

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with pytest.raises(MediaError, match="not uploaded"):
        read_upload(f"{tmp_path}/../{ASTRONAUT}")


def test_face_picture_stays_inside_the_photo():
    from simswap.demo.tabs import face_strip

    image = np.zeros((40, 60, 3), np.uint8)
    landmarks = np.zeros((5, 2), np.float32)
    faces = [Face(np.array([-9, -9, 30, 30], np.float32), landmarks, 0.9)] * 2
    strip = face_strip.show(image, faces, "photo.jpg", only=0)
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in strip["faces"])
    assert (len(strip["faces"]), strip["picked"]) == (2, [0])


def test_names_of_uploads_cannot_bring_markup_into_the_page():
    from simswap.demo.look import theme

    assert theme.message("<img src=x>.jpg is empty") == "<p>&lt;img src=x&gt;.jpg is empty</p>"
