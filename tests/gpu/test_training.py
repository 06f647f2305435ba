"""Training on a GPU, in bfloat16; tests/train/test_options.py does the same on the CPU."""

import json
import math

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from simswap import FaceSwapper
from tests.support.training.training_here import train_here
from tests.support.training.training_runs import metrics, write_config

pytestmark = [pytest.mark.slow, pytest.mark.gpu]


@pytest.mark.parametrize("flags", [(), ("--cache-photos",)], ids=["streamed", "cached"])
def test_steps_in_bfloat16_stay_finite_and_leave_a_model_that_swaps(
    data, tmp_path, flags, astronaut, identity
):
    config = write_config(tmp_path, data)
    assert train_here(config, "--mixed-precision", "bf16", *flags) == 0
    losses = [value for row in metrics(tmp_path).values() for value in row.values()]
    assert losses
    assert all(map(math.isfinite, losses))
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("memory_gb" in json.loads(row) for row in rows)
    trained = FaceSwapper.from_pretrained(tmp_path / "run" / "bundle", device="cuda")
    assert trained.swap_image(astronaut, identity).swapped == (0,)
