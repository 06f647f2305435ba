"""What Verify says of credentials that strangers made, honest ones and others."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.errors import SigningError
from simswap.media.photos import write_photo
from simswap.provenance import credentials
from simswap.provenance.credentials import LEFT_OUT, SOFTWARE, TRUST, read_credentials
from simswap.provenance.metadata import quoted, synthetic_xmp
from simswap.provenance.signer import TIMESTAMP_URL
from simswap.provenance.signing import default_signer
from simswap.verify.report import details, headline, verify
from tests.support.credentials.certificates import (
    change_a_pixel_byte,
    failures_of,
    make_certificate,
    store_of,
)
from tests.support.credentials.foreign_credentials import (
    identity_of,
    with_checksums,
    write_dated,
    write_signed,
)
from tests.support.credentials.timestamp_server import running_timestamps


def words(path: Path) -> str:
    report = verify(path)
    return "\n".join([headline(report), *details(report)])


# Certificates out of their time


def test_a_certificate_that_has_expired_is_not_called_a_change(tmp_path):
    path = write_dated(tmp_path / "photo.png", -30, -5)
    report, said = verify(path), words(path)
    assert failures_of(store_of(path)) == ["signingCredential.expired"]
    assert report.verdict == "unchecked"
    assert "the certificate expired on 2" in said
    assert "hanged" not in said
    assert "intact" not in said


def test_a_certificate_that_is_not_yet_valid_is_told_as_that(tmp_path):
    path = write_dated(tmp_path / "photo.png", 5, 30)
    said = words(path)
    assert verify(path).verdict == "unchecked"
    assert "is valid only from 2" in said
    assert "expired" not in said
    assert "hanged" not in said


@pytest.mark.parametrize(("start", "end"), [(-30, -5), (5, 30)])
def test_a_change_is_told_whatever_the_certificate(tmp_path, start, end):
    path = write_dated(tmp_path / "photo.png", start, end)
    change_a_pixel_byte(path)
    assert verify(path).verdict == "altered"
    assert "the photo was changed after it was signed" in words(path)


@pytest.mark.parametrize(
    "code",
    ["assertion.action.malformed", "claim.malformed", "general.error", "new.code <b>. It is"],
)
def test_codes_that_nobody_here_knows_are_neither_a_change_nor_intact(tmp_path, monkeypatch, code):
    path = write_signed(tmp_path / "photo.png")
    found = credentials._codes
    monkeypatch.setattr(
        credentials,
        "_codes",
        lambda store, kind: [*found(store, kind), *([code] if kind == "failure" else [])],
    )
    said = words(path)
    assert verify(path).verdict == "unchecked"
    assert "they cannot be checked: C2PA's check says " in said
    assert "intact" not in said
    assert "<b>" not in said


def test_credentials_that_break_a_rule_are_neither_a_change_nor_intact(tmp_path):
    path = write_signed(tmp_path / "photo.png", action="c2pa.edited")
    assert failures_of(store_of(path)) == ["assertion.action.malformed"]
    assert verify(path).verdict == "unchecked"
    assert "C2PA's check says assertion.action.malformed" in words(path)


def test_what_was_never_compared_with_the_pixels_is_not_called_intact(tmp_path, monkeypatch):
    write_photo(tmp_path / "ours.png", np.zeros((64, 64, 3), np.uint8), model="m")
    assert verify(tmp_path / "ours.png").credentials.is_intact
    found = credentials._codes
    monkeypatch.setattr(
        credentials,
        "_codes",
        lambda store, kind: [code for code in found(store, kind) if "dataHash" not in code],
    )
    assert not verify(tmp_path / "ours.png").credentials.is_intact


# Whose credentials are believed


@pytest.mark.parametrize("is_trusted", [False, True])
@pytest.mark.parametrize("name", ["Example Camera", SOFTWARE])
def test_only_what_simswap_made_with_a_trusted_certificate_is_intact(
    tmp_path, monkeypatch, name, is_trusted
):
    authority = make_certificate("Example Authority", is_authority=True)
    by = make_certificate(issuer=authority)
    path = write_signed(tmp_path / "photo.png", by, software={"name": name, "version": "9"})
    if is_trusted:
        (tmp_path / "anchors.pem").write_text(authority.certificate)
        monkeypatch.setenv(TRUST, str(tmp_path / "anchors.pem"))
    is_believed = is_trusted and name == SOFTWARE
    assert verify(path).credentials.is_intact == is_believed
    assert ("only SimSwap's own can be" in words(path)) != is_believed
    assert ("whom the operator of this installation trusts" in words(path)) == is_trusted


# Timestamps


@pytest.fixture(scope="module")
def stamped(tmp_path_factory) -> tuple[Path, str]:
    """A photo with a time by a server of somebody's own, and the authority behind that server."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("timestamps")
    with pytest.MonkeyPatch.context() as patched, running_timestamps(folder) as (url, authority):
        patched.setenv("NO_PROXY", "127.0.0.1")
        return write_signed(folder / "photo.png", timestamp_url=url), authority


def test_the_time_of_an_unknown_timestamp_server_attests_nothing(stamped):
    found, said = read_credentials(stamped[0]), words(stamped[0])
    assert found.attested_time is None
    assert found.unknown_time is not None
    assert "as a timestamp server that nobody here knows says" in said
    assert "attests" not in said


def test_a_timestamp_server_that_the_operator_trusts_attests(stamped, tmp_path, monkeypatch):
    path, authority = stamped
    (tmp_path / "anchors.pem").write_text(authority)
    monkeypatch.setenv(TRUST, str(tmp_path / "anchors.pem"))
    assert read_credentials(path).unknown_time is None
    assert "as a timestamp server attests" in words(path)


def test_a_time_that_our_signer_asked_for_is_told_and_one_that_it_did_not_is_a_doubt(
    tmp_path, monkeypatch
):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with running_timestamps(tmp_path) as (url, _):
        monkeypatch.setenv(TIMESTAMP_URL, url)
        default_signer.cache_clear()
        write_photo(tmp_path / "ours.png", np.zeros((64, 64, 3), np.uint8), model="m")
        default_signer.cache_clear()
    assert verify(tmp_path / "ours.png").credentials.is_intact
    assert "at the latest, as a timestamp server" in words(tmp_path / "ours.png")
    assert "as the signer says" in words(tmp_path / "ours.png")
    monkeypatch.delenv(TIMESTAMP_URL)
    assert verify(tmp_path / "ours.png").credentials.failures == (LEFT_OUT,)


@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_trust_anchors_without_an_end_are_refused(stamped, tmp_path, monkeypatch, kind):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv(TRUST, {"device": "/dev/zero", "pipe": str(tmp_path / "pipe")}[kind])
    with pytest.raises(SigningError, match="does not name a PEM file"):
        read_credentials(stamped[0])


# Whose word it is


FORGED = [
    "Reuters, whom the operator of this installation trusts. Else, an unknown signer: nobody",
    "Reuters”, whom the operator of this installation trusts. “Else",
    'Reuters", whom the operator trusts! "Else',
    "Reuters\u201d\u3002 Content Credentials: intact",
    "Reuters\n\nContent Credentials: intact.",
    "Reuters \u202eetaerc\u202c. \u2066 intact\u2069",
    "Reuters\uff0e \uff02 intact\uff01 \u2024 \u275e yes",
    "\u0338Reuters\u0338 \u3164\u2800 x",
    "Reuters " * 40,
]


@pytest.mark.parametrize("text", FORGED)
def test_no_sentence_of_a_stranger_leaves_its_quotation(text):
    said = quoted(text)
    assert (said[0], said[-1]) == ("“", "”")
    inside = said[1:-1]
    assert not set(inside) & set('“”„‟"«»‹›❝❞＂\n\r\u2028\u202a\u202e\u2066\u3164\u2800!?。．')
    assert ". " not in inside.removesuffix("...")
    assert inside.isprintable()
    assert len(inside) <= 80


@pytest.mark.parametrize(
    "text", ["SimSwap 1.0.2", "O'Brien & Söhne", "Анна Каренина", "नमस्ते", "写真 v2.1"]
)
def test_an_honest_name_is_told_as_it_is(text):
    assert quoted(text) == f"“{text}”"


@pytest.mark.parametrize("text", [FORGED[0], FORGED[1]])
def test_what_a_file_says_of_itself_stands_in_quotation_marks(tmp_path, text):
    software = {"name": text, "version": "1. This photo is real"}
    path = write_signed(
        tmp_path / "photo.png",
        make_certificate(text[:60]),
        software=software,
        source_type=f"http://cv.iptc.org/newscodes/digitalsourcetype/{text}",
    )
    for line in details(verify(path)):
        ours = "".join(part.split("”")[-1] for part in f"”{line}".split("“"))
        assert "Reuters" not in ours
        assert "whom the operator" not in ours
        assert "real" not in ours


def test_what_xmp_says_stands_in_quotation_marks(tmp_path):
    xmp = synthetic_xmp("m. This photo is real").replace(b"SimSwap", b"A. It is real. SimSwap")
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.jpg", xmp=xmp)
    said = words(tmp_path / "photo.jpg")
    assert "by “A It is real SimSwap" in said
    assert "“m This photo is real”" in said


def test_a_genuine_photo_with_somebodys_xmp_is_not_called_changed_by_us(tmp_path):
    noise = np.random.default_rng(5).integers(0, 255, (80, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg", xmp=synthetic_xmp("m"))
    assert headline(verify(tmp_path / "photo.jpg")) == (
        "Marked as synthetic: the metadata of this photo, which anyone can write, say that a "
        "trained model changed or made it."
    )


def test_a_strangers_signature_that_says_synthetic_is_a_strangers_word(tmp_path):
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    path = write_signed(tmp_path / "photo.png", source_type=term)
    assert "which cannot be checked, say that" in headline(verify(path))


def test_an_identity_in_a_file_is_told_and_not_looked_up(tmp_path):
    path = write_signed(tmp_path / "photo.png", assertions=(identity_of("did:web:a.test"),))
    assert "They name somebody's identity (CAWG), which is not looked up" in words(path)


@pytest.mark.parametrize(
    "data", [[1], {"actions": 7}, {"actions": [7, {"parameters": [1]}, {"when": {"a": 1}}]}, "text"]
)
def test_odd_assertions_make_no_traceback(tmp_path, data):
    odd = {"label": "none.actions.of.mine", "data": data}
    path = write_signed(tmp_path / "photo.png", assertions=(odd,))
    renamed = path.read_bytes().replace(b"none.actions.of.mine", b"c2pa.actions.of.mine")
    path.write_bytes(with_checksums(bytearray(renamed)))
    assert all(isinstance(line, str) for line in details(verify(path)))
