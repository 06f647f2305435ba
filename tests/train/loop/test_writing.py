"""Files written in the background: in order, of what was at the time, and no failure is lost."""

import threading

import pytest
import torch
from accelerate import Accelerator

from train.errors import TrainingError
from train.loop.checkpoints import copied
from train.loop.writing import Writer


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


def test_work_is_done_later_and_in_order(accelerator):
    writer, gate, done = Writer(), threading.Event(), []
    writer.submit(lambda: gate.wait(10) and done.append("first"))
    writer.submit(lambda: done.append("second"))
    assert done == []  # nobody waits for it
    gate.set()
    writer.settle(accelerator)
    assert done == ["first", "second"]


def fail() -> None:
    raise TrainingError("The disk is full.")


def test_a_failure_is_told_by_the_next_settling_and_what_came_after_it_is_left_out(accelerator):
    writer, done = Writer(), []
    writer.submit(fail)
    writer.submit(lambda: done.append("a push of what was not written"))
    with pytest.raises(TrainingError, match="The disk is full"):
        writer.settle(accelerator)
    assert done == []
    writer.submit(lambda: done.append("the next checkpoint"))
    writer.settle(accelerator)
    assert done == ["the next checkpoint"]


def test_what_is_written_is_what_was_there_when_it_was_copied():
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    before = copied({"network": network.state_dict(), "optimiser": optimiser.state_dict()})
    expected = network.weight.tolist(), optimiser.state[network.weight]["exp_avg"].tolist()
    optimiser.step()
    state = before["optimiser"]["state"][0]
    assert (before["network"]["weight"].tolist(), state["exp_avg"].tolist()) == expected
    assert network.weight.tolist() != expected[0]
