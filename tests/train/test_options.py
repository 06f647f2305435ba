"""Runs with other settings than the usual: each goes through, and resumes exactly."""

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.training.training_here import train_here
from tests.support.training.training_runs import interrupted, metrics, write_config
from tests.train.evaluate.test_judges import save_judge

pytestmark = pytest.mark.slow
OPTIONS = {
    "bf16": ("--mixed-precision", "bf16"),
    "two workers": ("--num-workers", "2"),
    "accumulation": ("--accumulation", "2"),
    "gradient penalty": (  # draws numbers, which a resumed run must draw alike
        *("--weights.gradient-penalty", "1", "--no-discriminator.spectral-norm"),
        "--gradient-checkpointing",
    ),
    "two data sets": (
        *("--data", "{data},{data}", "--data-weights", "0.7,0.3", "--pasted", "0.5"),
        *("--augmentation.exposure", "0.5", "--augmentation.jpeg", "0.5"),
    ),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_run_with_other_settings_resumes_exactly(data, tmp_path, option):
    flags = (*(flag.format(data=data) for flag in OPTIONS[option]), "--num-steps", "10")
    # Where a CPU imitates bf16, memory's alignment decides how sums are rounded.
    tolerance = 0.02 if option == "bf16" else 1e-6
    (tmp_path / "whole").mkdir()
    assert train_here(write_config(tmp_path / "whole", data), *flags) == 0
    expected = metrics(tmp_path / "whole")
    assert "loss/discriminator" in expected[10]
    resumed = interrupted(tmp_path / "whole", tmp_path / "resumed")
    assert train_here(write_config(resumed, data), "--resume", *flags) == 0
    found = metrics(resumed)
    assert list(found) == [6, 7, 8, 9, 10]
    for step, losses in found.items():
        assert losses == pytest.approx(expected[step], abs=tolerance), step


def test_bundles_and_torchscript_files_teach_together(data, tmp_path):
    teachers = f"assets/models/simswap-lite-128,{save_judge(tmp_path / 'recogniser.pt')}"
    config = write_config(tmp_path, data)
    assert train_here(config, "--teachers", teachers, "--num-steps", "4") == 0  # two with each
    assert max(metrics(tmp_path)) == 4
