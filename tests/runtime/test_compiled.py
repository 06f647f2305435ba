"""Compiled networks that are kept: used again if they are whole and the user's own."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simswap import FaceSwapper
from simswap.files import HOME
from simswap.models.graph import INPUT, GraphNetwork, Layer
from simswap.runtime import compiled
from tests.support.examples import ROOT
from tests.support.weights.tiny_bundle import make_bundle

pytest.importorskip("openvino", reason="has no wheel for this platform")

from simswap.runtime import openvino_networks

CROPS, EMBEDDINGS = torch.full((1, 3, 32, 32), 0.5), torch.full((1, 512), 512**-0.5)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv(HOME, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def converted(monkeypatch) -> list[object]:
    """The modules that have been converted anew."""
    seen, convert = [], openvino_networks._convert

    def counted(module, shapes):
        seen.append(module)
        return convert(module, shapes)

    monkeypatch.setattr(openvino_networks, "_convert", counted)
    return seen


def generated(seed: int = 0) -> torch.Tensor:
    """What a generator gives that has just been loaded."""
    return FaceSwapper(make_bundle(seed), "cpu", runtime="openvino").running.generator(
        CROPS, EMBEDDINGS
    )


def kept_file(home: Path) -> Path:
    (path,) = (home / compiled.FOLDER).glob(f"*{compiled.ENDING}")
    return path


def test_a_network_is_compiled_once_and_then_read(home, converted):
    first = generated()
    assert torch.equal(generated(), first)
    assert len(converted) == 1
    assert (home / compiled.FOLDER).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("change", [{"pixel_range": "imagenet"}, {"embedding_scale": 2.0}])
def test_the_same_weights_with_another_config_are_another_network(home, change):
    bundle, other = make_bundle(), make_bundle()
    other.generator.config = replace(other.generator.config, **change)
    keys = {compiled.key_of(one.generator, ()) for one in (bundle, make_bundle(), other)}
    assert len(keys) == 2


def test_graphs_of_the_same_layers_are_told_apart(home):
    sides = {"in_channels": 3, "out_channels": 3, "kernel_size": 1}

    def key(kind: str, taken: str) -> str:
        torch.manual_seed(0)
        layers = (
            Layer("convolution", (INPUT,), "a", sides),
            Layer("convolution", ("a",), "b", sides),
            Layer(kind, (taken, "b"), "c"),
        )
        return compiled.key_of(GraphNetwork(torch.nn.Identity(), layers), ())

    graphs = [(kind, "a") for kind in ("add", "subtract", "multiply", "divide")]
    graphs += [("add", "b"), ("add", INPUT)]
    assert len({key(*graph) for graph in graphs}) == len(graphs)
    assert key("add", "a") == key("add", "a")


def test_a_network_has_the_same_name_in_each_process():
    script = (
        "from simswap.runtime.compiled import key_of\n"
        "from tests.support.weights.tiny_bundle import make_bundle\n"
        "print(key_of(make_bundle().generator, ()), end='')\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, cwd=ROOT)
    assert told.stdout.decode() == compiled.key_of(make_bundle().generator, ())


def test_other_weights_are_another_network(home, converted):
    assert not torch.equal(generated(), generated(seed=1))
    assert len(converted) == 2


def test_other_code_of_the_networks_is_another_network(home, converted, monkeypatch):
    generated()
    monkeypatch.setattr(compiled, "_code", lambda: "of another version")
    generated()
    assert len(converted) == 2


@pytest.mark.parametrize("damage", [lambda whole: whole[:-9], lambda whole: whole[:99] + b"x" * 9])
def test_a_broken_file_is_compiled_anew_and_replaced(home, converted, damage):
    first = generated()
    path = kept_file(home)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert torch.equal(generated(), first)
    assert torch.equal(generated(), first)
    assert len(converted) == 2


def test_a_whole_file_of_something_else_is_compiled_anew(home, converted):
    first = generated()
    compiled.write(kept_file(home).stem, b"not what OpenVINO compiled" * 9)
    assert torch.equal(generated(), first)
    assert len(converted) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="rights work differently here")
def test_a_folder_that_others_may_write_to_is_not_used(home, converted):
    (home / compiled.FOLDER).mkdir(parents=True)
    (home / compiled.FOLDER).chmod(0o777)
    assert torch.equal(generated(), generated())
    assert len(converted) == 2
    assert list((home / compiled.FOLDER).iterdir()) == []


def test_without_a_place_to_keep_it_a_network_runs_all_the_same(tmp_path, converted, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(HOME, str(tmp_path / "file" / "home"))
    generated()
    monkeypatch.setattr(compiled, "data_folder", lambda: None)
    generated()
    assert len(converted) == 2


def test_the_networks_used_longest_ago_go(home, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_FILES", 2)
    for age, key in enumerate(("third", "second", "first")):
        compiled.write(key, key.encode())
        os.utime(home / compiled.FOLDER / f"{key}{compiled.ENDING}", (1000 - age, 1000 - age))
    assert compiled.read("third") == b"third"  # used just now
    compiled.write("newest", b"newest")
    left = {path.stem for path in (home / compiled.FOLDER).iterdir()}
    assert left == {"third", "newest"}
