"""Which models a demo offers: what the operator configures, by name, each loaded once."""

import logging

import pytest
import torch

from simswap import ModelError, OptionError
from simswap.weights.bundle import DEFAULT_BUNDLE, load_bundle
from simswap.weights.sharing import share_networks
from tests.support.demo.two_models import BUNDLED, SECOND, write_second_model
from tests.support.weights.tiny_bundle import make_bundle

models = pytest.importorskip("simswap.demo.models")


@pytest.mark.parametrize(
    ("default", "more", "expected"),
    [
        (None, None, [None]),
        ("user/a", None, ["user/a"]),
        (None, "user/b, folder/c,", [None, "user/b", "folder/c"]),
        ("user/a", "user/b,user/a", ["user/a", None, "user/b"]),
    ],
)
def test_the_default_comes_first_and_the_bundled_model_is_among_several(
    monkeypatch, default, more, expected
):
    for name, value in (("SIMSWAP_MODEL", default), ("SIMSWAP_MODELS", more)):
        monkeypatch.delenv(name, raising=False)
        if value:
            monkeypatch.setenv(name, value)
    assert models.configured() == expected


def test_a_further_model_that_cannot_be_had_is_left_out_and_told(caplog, tiny_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with caplog.at_level(logging.WARNING):
        bundles = models.load_bundles([None, str(tmp_path / "empty"), str(tiny_folder)])
    assert [bundle.name for bundle in bundles] == [BUNDLED, "tiny"]
    assert "is left out" in caplog.text
    assert "no model bundle" in caplog.text


@pytest.mark.slow
def test_of_two_models_of_one_name_the_second_is_left_out_and_told(caplog):
    with caplog.at_level(logging.WARNING):
        bundles = models.load_bundles([None, str(DEFAULT_BUNDLE)])
    assert [bundle.name for bundle in bundles] == [BUNDLED]
    assert f"is called {BUNDLED}, as one before it" in caplog.text


def test_a_default_that_cannot_be_had_is_an_error(tmp_path, tiny_folder):
    with pytest.raises(ModelError, match="no model bundle"):
        models.load_bundles([str(tmp_path), str(tiny_folder)])


@pytest.mark.parametrize("name", ["blue", "../../etc", str(DEFAULT_BUNDLE), ["a"], 7])
def test_a_model_that_is_not_offered_is_refused_with_those_that_are(name):
    with pytest.raises(OptionError, match=f"is not offered here. Use one of: {BUNDLED}."):
        models.by_name(name)


@pytest.mark.parametrize("name", [None, ""])
def test_who_names_no_model_has_the_default(name):
    assert models.by_name(name).name == BUNDLED


@pytest.mark.slow
def test_models_that_differ_in_their_generators_hold_the_rest_once(tmp_path):
    first, second = models.load_bundles([None, str(write_second_model(tmp_path))])
    assert second.name == SECOND
    assert second.identity_network is first.identity_network
    assert second.detector is first.detector
    assert second.generator is not first.generator


def test_networks_of_other_weights_or_other_configs_are_not_shared(tiny_bundle):
    for other in (make_bundle(seed=1), load_bundle()):
        shared = share_networks(tiny_bundle, [other])
        assert shared.identity_network is tiny_bundle.identity_network
        assert shared.detector is tiny_bundle.detector
    assert not torch.equal(
        *(next(bundle.detector.parameters()) for bundle in (tiny_bundle, make_bundle(seed=1)))
    )
