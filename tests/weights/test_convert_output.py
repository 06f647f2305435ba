"""Which folders a converted model may be written to."""

import shutil

import pytest

from simswap.errors import OptionError
from simswap.weights.bundle import DEFAULT_BUNDLE
from simswap.weights.convert import _check_output


@pytest.mark.parametrize("added", [{"config.json": '{"my": "settings"}'}, {"thesis.txt": "mine"}])
def test_only_a_model_folder_of_ours_is_replaced(tmp_path, added):
    shutil.copytree(DEFAULT_BUNDLE, tmp_path / "model")
    for name, text in added.items():
        (tmp_path / "model" / name).write_text(text)
    with pytest.raises(OptionError, match="holds other files"):
        _check_output(tmp_path / "model")


def test_a_model_folder_of_ours_may_be_replaced(tmp_path):
    shutil.copytree(DEFAULT_BUNDLE, tmp_path / "model")
    _check_output(tmp_path / "model")
