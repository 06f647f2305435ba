"""A second model beside the bundled one, and a demo that offers both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from simswap.weights.bundle import load_bundle, save_bundle
from tests.support.demo.demo_server import running_demo

BUNDLED, SECOND = "simswap-lite-128", "blue"


def write_second_model(folder: Path, name: str = SECOND) -> Path:
    """The bundled model under another name, with a generator that paints in blue besides.

    Otherwise what it makes is a face as before, which a reader of the mark must find.
    """
    bundle = load_bundle()
    with torch.no_grad():
        bundle.generator.last_layer[-1].bias[2] += 2
    config = replace(bundle.config, name=name)
    save_bundle(replace(bundle, config=config), folder, f"# {name}\n", half=False)
    return folder


@contextmanager
def demo_of_two_models(folder: Path) -> Iterator[str]:
    """Address of a demo with both, and with one that cannot be had; its log is folder/demo.log."""
    second = write_second_model(folder / "hidden-place")
    with running_demo(folder, SIMSWAP_MODELS=f"{second}, nobody/no-such-model") as url:
        yield url
