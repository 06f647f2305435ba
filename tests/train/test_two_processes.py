"""Two processes that talk through gloo take the step that one takes on the joint batch."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.training.training_runs import finish_all, start_together

pytest.importorskip("accelerate", reason="needs the train extra")

pytestmark = pytest.mark.slow
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


VARIANTS = ("spectral norm", "gradient penalty", "accumulation")


def take_steps(folder: Path, num_processes: int) -> dict[str, dict[str, torch.Tensor]]:
    """Gradients (G., D.), running statistics and mean losses of one step, by variant."""
    from tests.support.training.two_process_step import small_identity_network

    torch.jit.save(torch.jit.script(small_identity_network(16)), folder / "teacher.pt")
    command = ["tests/support/training/two_process_step.py", folder]
    finish_all(start_together(command, folder, num_processes))
    return {name: load_file(folder / f"{name}.safetensors") for name in VARIANTS}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For what one process finds, and what two find."""
    return tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def found(folders):
    """What one process found, and what two found."""
    return take_steps(folders[0], 1), take_steps(folders[1], 2)


@pytest.fixture(params=VARIANTS)
def steps(request, found):
    one, two = (by_variant[request.param] for by_variant in found)
    assert (one["world"], two["world"]) == (1, 2)
    return one, two


def assert_equal(steps, start):
    one, two = ({key: step[key] for key in step if key.startswith(start)} for step in steps)
    assert one.keys() == two.keys()
    assert any(value.abs().max() > 0.01 for value in one.values())  # there is something to compare
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, **TOLERANCE, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("network", ["G", "D"])
def test_gradients_of_two_processes_are_those_of_one_on_the_joint_batch(steps, network):
    assert_equal(steps, f"{network}.")


def test_running_statistics_of_two_processes_are_those_of_the_joint_batch(steps):
    assert_equal(steps, "statistics.")


def test_the_losses_that_two_processes_log_are_those_of_the_joint_batch(steps):
    assert_equal(steps, "loss.")


def test_processes_that_do_not_share_a_folder_are_told_at_the_start(found, folders):
    one, two = ((folder / "refusal.txt").read_text() for folder in folders)
    assert not one
    assert "is not the same for all processes" in two
