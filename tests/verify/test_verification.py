"""What Verify says of files that are ours, others', changed, stripped, cut off or no photos."""

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap import __version__
from simswap.errors import CrowdedError, MediaError, SigningError
from simswap.media.photos import read_photo, write_photo
from simswap.provenance.credentials import TRUST
from simswap.provenance.signer import KEY, OWN_NAME, find_signer
from simswap.provenance.signing import sign_video
from simswap.verify import report as report_of_files
from simswap.verify.report import details, headline, verify
from simswap.video.metadata_label import video_metadata
from simswap.video.output.writing import Encoding
from tests.support.credentials.certificates import (
    change_a_pixel_byte,
    make_certificate,
    sign_as_camera,
)
from tests.support.media.png import chunk
from tests.support.media.video_files import make_video, rewrite

KINDS = ["png", "jpg", "webp", "mp4"]
MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


def write_ours(folder: Path, kind: str) -> Path:
    path = folder / f"out.{kind}"
    if kind in ("mp4", "webm"):
        video = make_video(folder / "in.mp4", num_frames=12)
        rewrite(video, path, Encoding(kind), metadata=video_metadata("lite-128"))
        sign_video(path, "lite-128", video)
    else:
        write_photo(path, noise(), model="lite-128")
    return path


def write_cameras(folder: Path, kind: str = "jpg", **certificate: object) -> Path:
    path = folder / f"photo.{kind}"
    Image.fromarray(noise()).save(path)
    sign_as_camera(path, MEDIA_TYPES[kind], make_certificate(**certificate))
    return path


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 255, (80, 96, 3), np.uint8)


def words(path: Path) -> str:
    report = verify(path)
    return "\n".join([headline(report), *details(report)])


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_work_is_told_with_signer_time_and_model(tmp_path, kind):
    path = write_ours(tmp_path, kind)
    report, said = verify(path), words(path)
    assert report.verdict == "marked"
    assert said.startswith(f"Marked as synthetic: this installation signed the {report.kind}")
    assert f"Signed by “{OWN_NAME}”, which is this installation's own certificate." in said
    assert f"Made with “SimSwap {__version__}” with the model “lite-128”, as they say." in said
    assert "Made on 2" in said
    assert "compositeWithTrainedAlgorithmicMedia" in said


@pytest.mark.parametrize("kind", KINDS)
def test_one_changed_byte_of_a_pixel_is_told(tmp_path, kind):
    path = write_ours(tmp_path, kind)
    change_a_pixel_byte(path)
    report, said = verify(path), words(path)
    assert report.verdict == "altered"
    assert "Changed after signing" in said
    assert f"the {report.kind} was changed after it was signed" in said
    assert "What they say proves nothing." in said


@pytest.mark.parametrize("kind", KINDS)
def test_changed_credentials_are_told(tmp_path, kind):
    path = write_ours(tmp_path, kind)
    path.write_bytes(path.read_bytes().replace(b"trained model", b"steady hand  ", 1))
    report = verify(path)
    assert report.verdict == "altered"
    assert "the credentials themselves were changed" in words(path)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_stripped_photo_is_not_called_real(tmp_path, kind):
    Image.fromarray(read_photo(write_ours(tmp_path, kind)).image).save(tmp_path / f"bare.{kind}")
    report, said = verify(tmp_path / f"bare.{kind}"), words(tmp_path / f"bare.{kind}")
    assert report.verdict == "unmarked"
    assert "does not prove the photo is real" in said


def test_a_stripped_video_is_not_called_real(tmp_path):
    rewrite(write_ours(tmp_path, "mp4"), tmp_path / "bare.mp4")
    assert verify(tmp_path / "bare.mp4").verdict == "unmarked"
    assert "does not prove the video is real" in words(tmp_path / "bare.mp4")


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_cut_off_photo_is_told(tmp_path, kind):
    path = write_ours(tmp_path, kind)
    path.write_bytes(path.read_bytes()[:-300])
    report = verify(path)
    assert report.verdict in ("altered", "marked")
    assert "cut off" in words(path)


def test_a_cut_off_video_is_told(tmp_path):
    path = write_ours(tmp_path, "mp4")
    path.write_bytes(path.read_bytes()[:-300])
    assert verify(path).verdict == "altered"
    assert "cut off" in words(path)


@pytest.mark.parametrize("how", ["jpg", "jpg in pieces", "png"])
def test_credentials_that_the_library_passes_over_are_told(tmp_path, how):
    path = write_ours(tmp_path, how[:3])
    whole = path.read_bytes()
    if how == "png":  # a second store
        path.write_bytes(whole[:33] + chunk(b"caBX", b"") + whole[33:])
    else:  # a marker that stands alone
        place, part = whole.index(b"\xff\xeb"), whole.index(b"c2pa\0\x11") + 3
        (length,) = struct.unpack_from(">H", whole, place + 2)
        head, end = whole[place + 4 : place + 12], place + 2 + length
        first, second = whole[place + 12 : part], whole[part:end]
        if how == "jpg":
            first, second = first + second, b""
        again = head[:4] + struct.pack(">I", 2) + first[:8] + second if second else b""
        parts = (
            b"\xff\xeb" + struct.pack(">H", len(p) + 2) + p for p in (head + first, again) if p
        )
        path.write_bytes(whole[:place] + b"\xff\xd0" + b"".join(parts) + whole[end:])
    report = verify(path)
    assert (report.verdict, report.is_unread) == ("marked", True)
    assert replace(report, label=None).verdict == "unchecked"
    assert "cannot be checked" in headline(replace(report, label=None))
    assert "Content Credentials: none" not in words(path)


def with_many_parts(folder: Path, kind: str) -> Path:
    """A photo or video of very many parts that say nothing."""
    path, many = folder / f"many.{kind}", 50_000
    if kind == "mp4":
        data = make_video(path, num_frames=12).read_bytes()
        data += struct.pack(">I4s", 8 + 8 * many, b"udta") + struct.pack(">I4s", 8, b"skip") * many
    else:
        Image.fromarray(noise()).save(path)
        data = path.read_bytes()
        if kind == "webp":
            data = b"RIFF" + struct.pack("<I", len(data) - 8 + 80 * many) + data[8:]
            data += b"none\0\0\0\0" * 10 * many
        else:
            data = data[:2] + b"\xff\xe0\0\2" * 200 * many + data[2:]
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("where", ["_check_parts", "find_watermark"])
def test_a_file_that_cannot_be_read_just_now_is_not_called_unmarked(tmp_path, monkeypatch, where):
    def crowded(*given):
        raise CrowdedError

    path = write_ours(tmp_path, "jpg")
    monkeypatch.setattr(report_of_files, where, crowded)
    with pytest.raises(CrowdedError, match="Try again in a minute"):
        report_of_files.look_for_watermark(verify(path), path, None)


@pytest.mark.parametrize("kind", ["mp4", "webp", "jpg"])
def test_a_file_of_too_many_parts_is_not_called_unsigned(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(report_of_files, "TRIAL_SECONDS", 1.0)
    monkeypatch.setattr(report_of_files, "read_credentials", None)  # is not reached
    said = words(with_many_parts(tmp_path, kind))
    assert "too many parts, or too large ones, to be looked through" in said
    assert "No mark found in what of this" in said
    assert "Content Credentials: none" not in said


def test_a_cut_off_photo_without_a_mark_is_not_called_unsigned(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "photo.png")
    (tmp_path / "photo.png").write_bytes((tmp_path / "photo.png").read_bytes()[:-300])
    report = verify(tmp_path / "photo.png")
    assert (report.verdict, report.credentials) == ("unchecked", None)
    assert "damaged, cut off or oddly made" in words(tmp_path / "photo.png")
    assert "Content Credentials: none" not in words(tmp_path / "photo.png")


def test_a_webm_has_its_mark_only(tmp_path):
    report = verify(write_ours(tmp_path, "webm"))
    assert (report.verdict, report.credentials) == ("marked", None)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_a_cameras_credentials_are_not_taken_for_a_mark(tmp_path, kind):
    path = write_cameras(tmp_path, kind)
    report, said = verify(path), words(path)
    assert (report.verdict, report.is_marked) == ("unchecked", False)
    assert "They name “Example Camera” as their signer." in said


def test_a_signer_whom_the_operator_trusts_is_told(tmp_path, monkeypatch):
    authority = make_certificate("Example Authority", is_authority=True)
    path = write_cameras(tmp_path, issuer=authority)
    assert verify(path).credentials.standing == "unknown"
    (tmp_path / "anchors.pem").write_text(authority.certificate)
    monkeypatch.setenv(TRUST, str(tmp_path / "anchors.pem"))
    assert verify(path).credentials.standing == "trusted"
    assert "whom the operator of this installation trusts" in words(path)


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_trusted_certificates_that_cannot_be_read_are_told(tmp_path, monkeypatch, content):
    if content is not None:
        (tmp_path / "anchors.pem").write_bytes(content)
    monkeypatch.setenv(TRUST, str(tmp_path / "anchors.pem"))
    with pytest.raises(SigningError):
        verify(write_cameras(tmp_path))


def test_a_certificate_with_our_name_and_number_is_not_ours(tmp_path, monkeypatch):
    path = write_cameras(tmp_path, name=OWN_NAME)
    ours = find_signer()
    forged = type(ours)(**vars(ours) | {"serial_number": 1000})  # what make_certificate gives
    monkeypatch.setattr("simswap.verify.report.known_signer", lambda: forged)
    assert verify(path).credentials.standing == "unknown"


def test_verifying_needs_no_signer_of_its_own(tmp_path, monkeypatch):
    path = write_ours(tmp_path, "png")
    monkeypatch.setenv(KEY, "alone")
    assert verify(path).credentials.standing == "unknown"


def test_what_credentials_say_cannot_steer_the_terminal(tmp_path):
    path = write_cameras(tmp_path, name="Camera\x1b[2J\x9b")
    assert "\x1b" not in words(path)
    assert "“Camera[2J”" in words(path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("absent.png", None, "absent.png does not exist"),
        ("empty.png", b"", "empty.png is neither a photo nor"),
        ("letter.jpg", b"Dear Sir", "letter.jpg is neither"),
        ("odd.mp4", b"\0\0\0\x18ftypmp42" + bytes(40), "odd.mp4 is neither"),
    ],
)
def test_what_is_no_photo_or_video_is_told_in_a_sentence(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=sentence):
        verify(tmp_path / name)


def test_a_report_is_plain_json(tmp_path):
    told = json.loads(json.dumps(verify(write_ours(tmp_path, "png")).as_json()))
    assert told["verdict"] == "marked"
    assert told["credentials"]["model"] == told["label"]["model"] == "lite-128"
    assert told["headline"].startswith("Marked as synthetic")
    assert all(isinstance(line, str) for line in told["details"])
