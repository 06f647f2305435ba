"""Networks that would run for minutes are refused when their model is loaded."""

import json

import pytest

from simswap import ModelError
from simswap.weights import bundle_networks
from simswap.weights.bundle import CONFIG_FILE, load_bundle

CONVOLUTION = {
    "kind": "convolution",
    "takes": ["crops"],
    "gives": "x",
    "settings": {"in_channels": 3, "out_channels": 1, "kernel_size": 1},
}
POOL = {
    "kind": "max_pool",
    "takes": ["x"],
    "gives": "x",
    "settings": {"kernel_size": 111, "stride": 1, "padding": 55},
}


def test_a_graph_of_slow_layers_is_refused(tiny_folder):
    config = json.loads((tiny_folder / CONFIG_FILE).read_text())
    config["identity"] |= {"architecture": "graph", "layers": [CONVOLUTION, *[POOL] * 300]}
    (tiny_folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ModelError, match="too many multiplications"):
        load_bundle(tiny_folder)


def test_a_graph_that_reads_much_and_gives_little_is_refused(tiny_folder):
    wide = CONVOLUTION | {"settings": CONVOLUTION["settings"] | {"out_channels": 4096}}
    mean = {"kind": "mean_pool", "takes": ["x"], "gives": "y", "settings": {"output_size": [1, 1]}}
    config = json.loads((tiny_folder / CONFIG_FILE).read_text())
    config["identity"] |= {"architecture": "graph", "layers": [wide, *[mean] * 1900]}
    (tiny_folder / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(ModelError, match="too many numbers"):
        load_bundle(tiny_folder)


@pytest.mark.parametrize("part", ["generator", "detector"])
def test_a_network_of_much_work_is_refused(tiny_folder, monkeypatch, part):
    load_bundle(tiny_folder)
    monkeypatch.setitem(bundle_networks.MAX_WORK, part, 1e3)
    with pytest.raises(ModelError, match="too many multiplications"):
        load_bundle(tiny_folder)
