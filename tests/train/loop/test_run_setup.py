"""What a run finds out before its first step."""

import logging

import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from train.loop.setup import choose_precision


@pytest.fixture
def cpu(monkeypatch):
    """A machine without a GPU whose CPU has the given instructions."""

    def pretend(**capabilities: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    return pretend


def test_auto_takes_bf16_where_the_cpu_computes_in_it(cpu):
    cpu(avx512_bf16=True)
    assert choose_precision("auto") == "bf16"


def test_auto_takes_fp32_where_bf16_is_imitated(cpu):
    cpu(avx2=True, avx512_bf16=False)
    assert choose_precision("auto") == "no"


def test_auto_takes_what_accelerate_was_told(cpu, monkeypatch):
    cpu(avx2=True)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    assert choose_precision("auto") == "fp16"
    assert choose_precision("no") == "no"


def test_bf16_asked_for_in_vain_is_done_with_a_warning(cpu, caplog):
    cpu(avx2=True)
    with caplog.at_level(logging.WARNING):
        assert choose_precision("bf16") == "bf16"
    assert "--mixed-precision no is far faster" in caplog.text
