"""The demo on a machine that lends its GPU call by call (ZeroGPU), as `spaces` emulates it."""

import ast
import json

import numpy as np
import pytest

from tests.support.examples import ROOT
from tests.support.warm_python import run_warm

pytestmark = pytest.mark.slow
MODULE = "tests.support.demo.emulated_gpu"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory) -> tuple[dict, np.ndarray]:
    """What a process saw that emulates CUDA, and the photo that it swapped."""
    path = tmp_path_factory.mktemp("emulated") / "swapped.npy"
    done = run_warm("-m", MODULE, path)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), np.load(path)


def test_models_lie_on_the_device_as_soon_as_the_page_is_built(emulated):
    seen, _ = emulated
    assert seen["device"] == "cuda"
    assert seen["runtime"] == "torch"
    assert seen["weights"] == ["cuda:0"]


def test_it_swaps_without_mixing_devices_as_the_cpu_does(
    emulated, swapper, astronaut, grace_hopper
):
    plain = swapper.in_torch()
    expected = plain.swap_image(astronaut, plain.identity_of(grace_hopper)).image
    assert np.abs(emulated[1].astype(int) - expected).max() <= 1


def test_what_runs_on_a_lent_gpu_is_small(emulated):
    lent = set(emulated[0]["lent"])
    found = {}
    for path in (ROOT / "simswap" / "demo" / "services").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in lent:
                found[node.name] = node.end_lineno - node.lineno
    assert found.keys() == lent
    assert max(found.values()) < 30
