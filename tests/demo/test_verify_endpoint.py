"""/verify, called by the real client."""

from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.support.credentials.certificates import (
    change_a_pixel_byte,
    failures_of,
    make_certificate,
    sign_as_camera,
    store_of,
)
from tests.support.examples import EXAMPLES
from tests.support.media.video_files import make_video

ASTRONAUT, ADMIRAL = EXAMPLES / "astronaut.jpg", EXAMPLES / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def client(demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(demo_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module", params=["png", "jpeg"])
def swapped(client: Client, request) -> Path:
    """A swap by the endpoint, as it came back."""
    result, summary = client.predict(
        source=[handle_file(ADMIRAL)],
        target=handle_file(ASTRONAUT),
        format=request.param,
        api_name="/swap_image",
    )
    assert summary["notices"] == []
    return Path(result)


def verify(client: Client, file: Path) -> dict:
    return client.predict(handle_file(file), api_name="/verify")


def test_a_swap_is_signed_and_recognised(client, swapped):
    assert failures_of(store_of(swapped)) == []
    report = verify(client, swapped)
    assert (report["verdict"], report["kind"]) == ("marked", "photo")
    assert report["credentials"]["standing"] == "own"
    assert report["credentials"]["model"] == "simswap-lite-128"
    assert any("Signed by" in line for line in report["details"])


def test_a_changed_byte_is_told(client, swapped, tmp_path):
    copy = tmp_path / swapped.name
    copy.write_bytes(swapped.read_bytes())
    change_a_pixel_byte(copy)
    report = verify(client, copy)
    assert report["verdict"] == "altered"
    assert report["credentials"]["failures"] == ["assertion.dataHash.mismatch"]


def test_a_photo_of_nobodys_making_is_not_called_real(client):
    report = verify(client, ASTRONAUT)
    assert (report["verdict"], report["credentials"], report["label"]) == ("unmarked", None, None)
    assert "does not prove" in report["headline"]


def test_a_cameras_photo_is_not_called_synthetic(client, tmp_path):
    Image.new("RGB", (64, 64), "teal").save(tmp_path / "photo.jpg")
    sign_as_camera(tmp_path / "photo.jpg", "image/jpeg", make_certificate())
    assert verify(client, tmp_path / "photo.jpg")["verdict"] == "unchecked"


def test_a_plain_video_is_not_called_real(client, tmp_path):
    report = verify(client, make_video(tmp_path / "in.mp4", num_frames=6))
    assert (report["verdict"], report["kind"]) == ("unmarked", "video")


@pytest.mark.parametrize("content", [b"Dear Sir", b""])
def test_what_is_neither_photo_nor_video_is_told_without_a_path(client, tmp_path, content):
    (tmp_path / "letter.jpg").write_bytes(content)
    with pytest.raises(AppError, match=r"letter\.jpg is neither") as told:
        verify(client, tmp_path / "letter.jpg")
    assert "/" not in str(told.value)


def test_no_file_is_told(client):
    with pytest.raises(AppError, match="No file was given"):
        client.predict(None, api_name="/verify")


def test_what_a_stranger_wrote_into_a_file_is_no_markup(tmp_path):
    from simswap.demo.look import report as report_card
    from simswap.verify.report import verify

    Image.new("RGB", (64, 64)).save(tmp_path / "photo.png")
    sign_as_camera(tmp_path / "photo.png", "image/png", make_certificate("<img src=x>"))
    shown = report_card.show(verify(tmp_path / "photo.png"))
    assert "&lt;img src=x&gt;" in shown
    assert "<img" not in shown
