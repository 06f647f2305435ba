"""Pictures into which the demo puts no faces: refused as photo, video and camera frame."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap import OptionError, RefusedPictureError, SwapResult
from simswap.demo.services import live_sessions, nsfw
from simswap.demo.services.live_sessions import LiveSession
from simswap.video import progress
from tests.support.demo.refused_picture import refused_picture
from tests.support.examples import EXAMPLES
from tests.support.media.video_files import Recipe, make_video

photos = pytest.importorskip("simswap.demo.services.photos")
videos = pytest.importorskip("simswap.demo.services.videos")
choices = pytest.importorskip("simswap.demo.choices")
live = pytest.importorskip("simswap.demo.services.live")
webcam = pytest.importorskip("simswap.demo.tabs.webcam")

FACE = EXAMPLES / "grace_hopper.jpg"


@pytest.fixture
def refused(uploads: Path) -> str:
    Image.fromarray(refused_picture()).save(uploads / "refused.png")
    return str(uploads / "refused.png")


@pytest.fixture
def face(uploads: Path) -> str:
    return str(shutil.copy(FACE, uploads))


def test_a_picture_that_looks_sexual_is_refused_and_no_shipped_photo_is():
    with pytest.raises(RefusedPictureError, match="The photo looks sexual to the filter"):
        nsfw.check(refused_picture(), "The photo")
    for path in EXAMPLES.glob("*.jpg"):
        nsfw.check(np.array(Image.open(path).convert("RGB")), path.name)


def test_an_installation_at_home_may_allow_them_and_a_space_may_not(monkeypatch):
    monkeypatch.setenv(nsfw.SETTING, "allow")
    nsfw.check(refused_picture(), "The photo")
    monkeypatch.setenv("SPACE_ID", "user/name")
    with pytest.raises(OptionError, match="SIMSWAP_NSFW=allow is for an installation of your own"):
        nsfw.is_refused()


def test_an_unknown_setting_is_told(monkeypatch):
    monkeypatch.setenv(nsfw.SETTING, "off")
    with pytest.raises(OptionError, match="SIMSWAP_NSFW is 'off'; give 'refuse' or 'allow'"):
        nsfw.is_refused()


@pytest.mark.parametrize(
    ("which", "name"),
    [("target", "The target photo"), ("source", "The source photo"), ("second", "Source photo 2")],
)
def test_no_face_is_put_into_or_taken_from_a_refused_photo(face, refused, uploads, which, name):
    sources = {"target": [face], "source": [refused], "second": [face, refused]}[which]
    target = refused if which == "target" else face
    before = set(uploads.rglob("*"))
    with pytest.raises(RefusedPictureError, match=f"^{name} looks sexual"):
        photos.swap_uploads(sources, target, choices.Choices())
    assert set(uploads.rglob("*")) == before


@pytest.mark.slow
def test_a_video_is_refused_for_a_scene_between_its_first_and_last_frame(
    face, uploads, monkeypatch
):
    monkeypatch.setattr(progress, "REPORT_SECONDS", 0.0)
    plain, scene = np.full((256, 256, 3), 90, np.uint8), refused_picture()
    # Of twelve frames, the first, sixth and last are looked at before the work begins.
    recipe = Recipe(
        12,
        (256, 256),
        sound=None,
        picture=lambda number, width, height: scene if number in (7, 8, 9) else plain,
    )
    target = make_video(uploads / "in.mp4", recipe)
    monkeypatch.setattr(videos, "CHECK_SECONDS", 0.0)
    before = set(uploads.rglob("*"))
    with pytest.raises(RefusedPictureError, match=r"^The video looks sexual"):
        list(videos.swap_uploads([photos.Person([face])], str(target), choices.VideoChoices()))
    assert set(uploads.rglob("*")) == before


def test_a_camera_is_looked_at_once_a_second_and_when_its_picture_is_another(monkeypatch):
    now, looked = [100.0], []
    monkeypatch.setattr(live_sessions.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        nsfw, "score", lambda image, score=nsfw.score: looked.append(score(image)) or looked[-1]
    )
    session = LiveSession(lambda frames: (SwapResult(each, (), ()) for each in frames), "tiny")
    plain, refused = jpeg(np.full((256, 256, 3), 90, np.uint8)), jpeg(refused_picture())
    for seconds in (0.0, 0.1, 0.5):
        now[0] = 100 + seconds
        session.swap(plain)
    assert len(looked) == 1
    for seconds in (0.6, 1.1):
        now[0] = 100 + seconds
        with pytest.raises(RefusedPictureError, match=r"^The camera's picture looks sexual"):
            session.swap(refused)
    session.swap(plain)
    assert len(looked) == 4


def jpeg(image: np.ndarray) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def test_a_refused_picture_is_no_snapshot(monkeypatch):
    session = LiveSession(lambda frames: (SwapResult(each, (), ()) for each in frames), "tiny")
    session.newest = refused_picture()
    monkeypatch.setattr(live.sessions, "shown", lambda token: session)
    with pytest.raises(RefusedPictureError, match=r"^The snapshot looks sexual"):
        webcam.take_snapshot({"token": session.token})
