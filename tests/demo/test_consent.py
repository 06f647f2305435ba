"""Consent: asked for on the page, and of callers where a Space is public."""

import pytest

from simswap import OptionError
from simswap.demo import consent


@pytest.mark.parametrize("answer", [False, None, "true", 1, {}])
def test_only_a_ticked_box_is_an_agreement(answer):
    with pytest.raises(consent.ConsentError, match="Tick the box"):
        consent.check_ticked(answer)
    consent.check_ticked(True)


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
