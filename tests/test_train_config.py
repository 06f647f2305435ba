"""Run configuration: ramps, flags and bad values."""

import pytest

from train.config import Ramp, TrainConfig, parse_config


def test_a_ramp_holds_then_moves_linearly_then_holds():
    ramp = Ramp(20.0, 10.0, from_step=100, to_step=200)
    assert [ramp.at(step) for step in (0, 100, 150, 200, 900)] == [20, 20, 15, 10, 10]


def test_a_flag_changes_its_field_and_no_other():
    config = parse_config(["--batch-size", "8"])
    assert config.batch_size == 8
    assert config.num_steps == TrainConfig().num_steps


def test_an_unknown_flag_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_config(["--batchsize", "8"])
    assert "--batchsize" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"teachers": ()}, "teachers is empty"),
        ({"crop_size": 100}, "crop_size=100 must be a multiple of 8"),
    ],
)
def test_a_value_that_cannot_work_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**values)
