"""What we sign, as c2pa's own reader sees it."""

import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import c2pa
import numpy as np
import pytest
from PIL import Image

from simswap import __version__
from simswap.media.photos import Photo, read_photo, write_photo
from simswap.provenance import search, signing
from simswap.provenance.credentials import read_credentials
from simswap.provenance.metadata import COMPOSITE_WITH_MODEL, read_label
from simswap.provenance.signer import CERTIFICATE, KEY, TIMESTAMP_URL
from simswap.provenance.signing import default_signer, sign_video
from simswap.verify.report import verify
from simswap.video.metadata_label import read_video_label, video_metadata
from simswap.video.output.writing import Encoding
from tests.support.credentials.certificates import (
    actions_of,
    active_manifest,
    change_a_pixel_byte,
    example_signer,
    failures_of,
    make_certificate,
    sign_as_camera,
    store_of,
)
from tests.support.media.video_files import make_video, rewrite

KINDS = ["png", "jpg", "webp", "mp4"]
FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
    xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmpMM:DocumentID="xmp.did:WhoTookIt"
    xmpMM:InstanceID="xmp.iid:WhoTookIt"/></rdf:RDF></x:xmpmeta>"""


@pytest.fixture(autouse=True)
def _forgotten_signer():
    """Each test finds its signer anew."""
    default_signer.cache_clear()
    yield
    default_signer.cache_clear()


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (96, 128, 3), np.uint8)


def write_target(folder: Path, pixels: np.ndarray, kind: str = "jpg") -> Path:
    path = folder / f"Anna Karenina.{kind}"
    exif = Image.Exif()
    exif[0x013B] = "WhoTookIt"
    extra = {"xmp": XMP, "exif": exif} if kind in ("jpg", "webp") else {}
    Image.fromarray(pixels).save(path, FORMATS[kind], **extra)
    return path


def write_signed(folder: Path, pixels: np.ndarray, kind: str, target: Path | None = None) -> Path:
    """A result of ours, from a target with metadata, of each kind that is signed."""
    output = folder / f"out.{kind}"
    if kind == "mp4":
        video = target or make_video(folder / "Anna Karenina.mp4", num_frames=12)
        rewrite(video, output, Encoding("mp4"), metadata=video_metadata("lite-128"))
        assert sign_video(output, "lite-128", video) == ()
        return output
    photo = read_photo(target or write_target(folder, pixels))
    assert write_photo(output, pixels, like=photo, model="lite-128") == ()
    return output


@pytest.mark.parametrize("kind", KINDS)
def test_c2pas_own_reader_accepts_what_we_sign(tmp_path, pixels, kind):
    store = store_of(write_signed(tmp_path, pixels, kind))
    assert store["validation_state"] == "Valid"
    assert failures_of(store) == []
    held = {item["code"] for item in store["validation_results"]["activeManifest"]["success"]}
    assert {"claimSignature.validated", "assertion.hashedURI.match"} <= held
    assert held & {"assertion.dataHash.match", "assertion.bmffHash.match"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_action_tells_what_was_done_by_what(tmp_path, pixels, kind):
    manifest = active_manifest(store_of(write_signed(tmp_path, pixels, kind)))
    actions = {action["action"]: action for action in actions_of(manifest)}
    assert set(actions) == {"c2pa.opened", "c2pa.edited"}
    edited = actions["c2pa.edited"]
    assert edited["digitalSourceType"] == COMPOSITE_WITH_MODEL
    assert edited["softwareAgent"] == {"name": "SimSwap", "version": __version__}
    assert edited["parameters"]["simswap.model"] == "lite-128"
    assert time.strptime(edited["when"], "%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("kind", KINDS)
def test_the_target_is_the_parent_without_name_or_thumbnail(tmp_path, pixels, kind):
    output = write_signed(tmp_path, pixels, kind)
    manifest = active_manifest(store_of(output))
    (ingredient,) = manifest["ingredients"]
    assert ingredient["relationship"] == "parentOf"
    assert "title" not in manifest
    assert not {"title", "thumbnail"} & set(ingredient)
    assert "thumbnail" not in manifest


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_tells_of_the_file_or_who_made_it(tmp_path, pixels, kind):
    content = write_signed(tmp_path, pixels, kind).read_bytes()
    for secret in (b"Karenina", b"WhoTookIt", os.fsencode(tmp_path.name), b"out."):
        assert secret not in content


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_byte_of_the_picture_breaks_it(tmp_path, pixels, kind):
    output = write_signed(tmp_path, pixels, kind)
    change_a_pixel_byte(output)
    store = store_of(output)
    assert store["validation_state"] == "Invalid"
    (failure,) = failures_of(store)
    assert failure in ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch")


@pytest.mark.parametrize("kind", KINDS)
def test_the_older_mark_and_the_pictures_stay(tmp_path, pixels, kind):
    output = write_signed(tmp_path, pixels, kind)
    mark = read_video_label(output) if kind == "mp4" else read_label(output)
    assert mark.model == "lite-128"
    if kind == "png":
        assert np.array_equal(read_photo(output).image, pixels)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp"])
def test_credentials_of_the_target_are_left_out_and_it_says_so(tmp_path, pixels, kind):
    target = write_target(tmp_path, pixels, kind)
    camera = make_certificate("Example Camera")
    sign_as_camera(target, signing.MEDIA_TYPES[f".{kind}"], camera)
    output = write_signed(tmp_path, pixels, "png", target)
    store = store_of(output)
    assert failures_of(store) == []
    assert len(store["manifests"]) == 1
    assert b"Example Camera" not in output.read_bytes()
    (edited,) = [a for a in actions_of(active_manifest(store)) if a["action"] == "c2pa.edited"]
    assert edited["parameters"]["simswap.target_credentials"].startswith("left out")


def test_a_targets_credentials_are_found_without_parsing_it(tmp_path, pixels, monkeypatch):
    target = write_signed(tmp_path, pixels, "mp4")
    monkeypatch.setattr("c2pa.Reader", None)
    monkeypatch.setattr(search, "_BLOCK", 20)  # what is searched for lies in several blocks
    assert signing._has_credentials(target)


def test_of_a_target_without_credentials_none_are_said_to_be_left_out(tmp_path, pixels):
    manifest = active_manifest(store_of(write_signed(tmp_path, pixels, "png")))
    assert all("simswap.target_credentials" not in str(action) for action in actions_of(manifest))


@pytest.mark.parametrize("kind", ["bmp", "gif", "tif"])
def test_targets_of_other_kinds_are_parents_too(tmp_path, pixels, kind):
    target = write_target(tmp_path, pixels, kind)
    store = store_of(write_signed(tmp_path, pixels, "png", target))
    assert failures_of(store) == []
    assert active_manifest(store)["ingredients"][0]["relationship"] == "parentOf"


@pytest.mark.parametrize("like", [None, Photo(np.zeros((96, 128, 3), np.uint8), path=Path("gone"))])
def test_a_target_that_is_not_there_is_an_unknown_parent(tmp_path, pixels, like):
    assert write_photo(tmp_path / "out.png", pixels, like=like, model="m") == ()
    store = store_of(tmp_path / "out.png")
    assert failures_of(store) == []
    assert active_manifest(store)["ingredients"][0]["relationship"] == "parentOf"


def test_a_target_with_damaged_credentials_is_a_parent_without_them(tmp_path, pixels):
    target = write_target(tmp_path, pixels)
    sign_as_camera(target, "image/jpeg", make_certificate())
    content = bytearray(target.read_bytes())
    content[content.index(b"jumb") + 60 :] = content[content.index(b"jumb") + 61 :]
    target.write_bytes(content)
    photo = Photo(pixels, path=target)
    assert write_photo(tmp_path / "out.png", pixels, like=photo, model="m") == ()
    assert failures_of(store_of(tmp_path / "out.png")) == []


def test_a_webm_says_that_it_cannot_be_signed(tmp_path):
    video = make_video(tmp_path / "in.mp4", num_frames=6)
    rewrite(video, tmp_path / "out.webm", Encoding("webm"), metadata=video_metadata("m"))
    before = (tmp_path / "out.webm").read_bytes()
    (notice,) = sign_video(tmp_path / "out.webm", "m", video)
    assert "WebM" in notice
    assert (tmp_path / "out.webm").read_bytes() == before


def test_a_configured_certificate_signs(tmp_path, pixels, monkeypatch):
    certified = make_certificate("Example Studio")
    monkeypatch.setenv(CERTIFICATE, certified.certificate)
    monkeypatch.setenv(KEY, certified.key)
    manifest = active_manifest(store_of(write_signed(tmp_path, pixels, "png")))
    assert manifest["signature_info"]["common_name"] == "Example Studio"


def test_without_a_signer_the_photo_is_written_and_the_reason_told(tmp_path, pixels, monkeypatch):
    monkeypatch.setenv(CERTIFICATE, make_certificate(start=-9, end=-2).certificate)
    monkeypatch.setenv(KEY, make_certificate().key)
    (notice,) = write_photo(tmp_path / "out.png", pixels, model="m")
    assert notice.startswith("The result has no Content Credentials: ")
    assert read_label(tmp_path / "out.png").model == "m"


def test_without_a_signer_the_video_stays_and_the_reason_is_told(tmp_path, monkeypatch):
    video = make_video(tmp_path / "in.mp4", num_frames=6)
    before = video.read_bytes()
    monkeypatch.setenv(KEY, make_certificate().key)
    (notice,) = sign_video(video, "m", None)
    assert "is not. Set both" in notice
    assert video.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_photos_are_signed_by_many_threads_at_once(tmp_path, pixels):
    def write(number: int) -> list[str]:
        path = tmp_path / f"{number}.png"
        return [*write_photo(path, pixels, model="m"), *failures_of(store_of(path))]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(24))) == [[]] * 24


class _Timestamps(BaseHTTPRequestHandler):
    """A timestamp server that is out of order."""

    def do_POST(self) -> None:
        self.server.asked.append(self.headers["Content-Type"])
        self.send_error(500)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_timestamp_server_is_asked_and_may_fail(tmp_path, pixels, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Timestamps)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv(TIMESTAMP_URL, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        (notice,) = write_photo(tmp_path / "out.png", pixels, model="m")
    finally:
        server.shutdown()
    assert server.asked[0] == "application/timestamp-query"
    assert "not attested" in notice
    assert failures_of(store_of(tmp_path / "out.png")) == []


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_photo_in_which_nothing_was_changed_is_neither_marked_nor_signed(tmp_path, pixels, kind):
    assert write_photo(tmp_path / f"out.{kind}", pixels, model=None) == ()
    assert read_label(tmp_path / f"out.{kind}") is None
    assert read_credentials(tmp_path / f"out.{kind}") is None


def test_a_signature_adds_a_few_kilobytes(pixels):
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    signed, notices = signing.sign_photo(encoded.getvalue(), ".png", "m", None)
    assert notices == ()
    assert len(signed) - len(encoded.getvalue()) < 8000


def test_what_an_editor_made_of_a_synthetic_photo_is_still_marked_as_synthetic(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (64, 64)).save(stream, "PNG")
    made, _ = signing.sign_photo(stream.getvalue(), ".png", "some model", None)
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["xmp:iid:1"]}}
    assertion = {"label": "c2pa.actions.v2", "data": {"actions": [opened]}}
    editor = {"claim_generator_info": [{"name": "Editor"}], "assertions": [assertion]}
    builder = c2pa.Builder(editor)
    parent = {"title": "made.png", "relationship": "parentOf", "instance_id": "xmp:iid:1"}
    builder.add_ingredient(json.dumps(parent), "image/png", io.BytesIO(made))
    edited = io.BytesIO()
    builder.sign(example_signer(), "image/png", io.BytesIO(stream.getvalue()), edited)
    (tmp_path / "edited.png").write_bytes(edited.getvalue())
    found = read_credentials(tmp_path / "edited.png")
    assert (found.software, found.num_earlier, found.is_synthetic) == ("Editor", 1, True)
    assert verify(tmp_path / "edited.png").verdict == "marked"
