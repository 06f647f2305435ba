"""Consent: asked for on the page, and of callers where a Space is public."""

from pathlib import Path

import pytest

from simswap import OptionError
from simswap.demo import consent
from simswap.demo.services import shipped
from tests.support.examples import EXAMPLES


@pytest.mark.parametrize("answer", [False, None, "true", 1, {}])
def test_only_a_ticked_box_is_an_agreement(answer):
    with pytest.raises(consent.ConsentError, match="tick the box"):
        consent.check_ticked(answer)
    consent.check_ticked(True)


@pytest.fixture
def photo_of(monkeypatch, tmp_path):
    """Makes an upload with the bytes of a file."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def upload(content: bytes, name: str = "photo.jpg") -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return upload


def test_shipped_photos_need_no_agreement(photo_of):
    assert consent.is_given(False, [photo_of((EXAMPLES / "astronaut.jpg").read_bytes())])


def test_the_example_film_needs_no_agreement_and_another_does(photo_of):
    film = Path(shipped.copied_clip()).read_bytes()
    assert consent.is_given(False, [photo_of(film, "my.mp4")])
    assert not consent.is_given(False, [photo_of(film[:-1] + b"x", "astronaut.mp4")])


def test_another_photo_of_a_shipped_ones_name_and_size_needs_one(photo_of):
    content = (EXAMPLES / "astronaut.jpg").read_bytes()
    forged = photo_of(content[:-1] + bytes([content[-1] ^ 1]), "astronaut.jpg")
    assert not consent.is_given(False, [forged])


def test_one_photo_that_is_not_shipped_needs_an_agreement_for_all(photo_of):
    shipped = photo_of((EXAMPLES / "astronaut.jpg").read_bytes())
    assert not consent.is_given(False, [shipped, photo_of(b"mine", "mine.jpg")])


def test_no_photo_is_no_agreement():
    assert not consent.is_given(False, [])


def test_callers_at_home_need_not_say_it(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    consent.check_said(False)


@pytest.mark.parametrize("answer", [False, None, "yes"])
def test_callers_of_a_public_space_must_say_it(monkeypatch, answer):
    monkeypatch.setenv("SPACE_ID", "somebody/simswap")
    with pytest.raises(consent.ConsentError, match="Pass consent=True"):
        consent.check_said(answer)
    consent.check_said(True)


def test_the_endpoint_asks_before_it_looks_at_any_photo(monkeypatch):
    from simswap.demo import photo_endpoints

    monkeypatch.setenv("SPACE_ID", "somebody/simswap")
    with pytest.raises(consent.ConsentError, match="Pass consent=True"):
        photo_endpoints.swap_image(None, None)
    with pytest.raises(OptionError, match="no source photo"):
        photo_endpoints.swap_image(None, None, consent=True)
