"""Which runtime is chosen, and what is said if it cannot be had."""

import pytest
import torch

from simswap import FaceSwapper, OptionError
from simswap.cli import options
from simswap.runtime import choice
from simswap.runtime.choice import SETTING, choose_runtime
from tests.support.weights.tiny_bundle import make_bundle

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(params=[True, False], ids=["installed", "missing"])
def is_installed(request, monkeypatch) -> bool:
    monkeypatch.setattr(choice, "find_spec", lambda _: object() if request.param else None)
    return request.param


def test_a_cpu_gets_openvino_where_it_is_installed(is_installed):
    assert choose_runtime(None, CPU, {}) == ("openvino" if is_installed else "torch")


def test_a_gpu_gets_torch(is_installed):
    assert choose_runtime(None, CUDA, {}) == "torch"


def test_the_callers_word_counts_more_than_the_operators(is_installed):
    assert choose_runtime(None, CPU, {SETTING: "torch"}) == "torch"
    assert choose_runtime("torch", CPU, {SETTING: "nonsense"}) == "torch"


@pytest.mark.parametrize(
    ("wanted", "environment", "named"),
    [("onnx", {}, "runtime='onnx'"), (None, {SETTING: "onnx"}, f"{SETTING}='onnx'")],
)
def test_an_unknown_runtime_is_told_with_those_that_there_are(wanted, environment, named):
    with pytest.raises(OptionError, match=f"{named} is not a runtime. Use one of: torch, openvino"):
        choose_runtime(wanted, CPU, environment)


def test_openvino_on_a_gpu_is_refused():
    with pytest.raises(OptionError, match="runs on a CPU, not on cuda"):
        choose_runtime("openvino", CUDA, {})


def test_openvino_that_is_not_installed_is_told_with_the_remedy(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    with pytest.raises(OptionError, match="Run `pip install openvino`"):
        choose_runtime("openvino", CPU, {})


def test_a_swapper_runs_as_the_setting_says(monkeypatch):
    monkeypatch.setenv(SETTING, "torch")
    assert FaceSwapper(make_bundle(), "cpu").running.generator.runtime == "torch"


@pytest.mark.parametrize(
    ("typed", "setting", "runtime"),
    [(None, None, "torch"), (None, "openvino", None), ("openvino", "torch", "openvino")],
)
def test_a_command_for_one_photo_uses_torch_unless_told(typed, setting, runtime, monkeypatch):
    monkeypatch.delenv(SETTING, raising=False)
    if setting:
        monkeypatch.setenv(SETTING, setting)
    used = []
    monkeypatch.setattr(FaceSwapper, "from_pretrained", lambda *_, **named: used.append(named))
    arguments = options.argparse.Namespace(model=None, detector="bundled", runtime=typed)
    options.load_swapper(arguments, for_one_photo=True)
    assert used[0]["runtime"] == runtime
