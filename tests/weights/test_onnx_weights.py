"""ONNX exports of official generators."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

from simswap import ModelError
from simswap.models.generator import Generator
from simswap.weights.bundle import load_bundle
from simswap.weights.convert import convert
from simswap.weights.onnx.files import is_onnx
from simswap.weights.onnx.generator import read_onnx_generator
from tests.support.weights.arcface_onnx import save_strange
from tests.support.weights.official_weights import (
    BASES,
    NARROW_VARIANTS,
    know_narrow_networks,
    official_state,
    save_whole_module,
    seeded_state,
)
from tests.weights.test_convert import fixture_inputs

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


class Body(nn.Module):
    """What the official trainer's network computes: normalised pixels in and out."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images, embeddings):
        return self.generator.body(images, embeddings)


def export(network: nn.Module, path: Path, **options: object) -> Path:
    inputs = torch.rand(1, 3, 224, 224), nn.functional.normalize(torch.rand(1, 512))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), inputs, path, dynamo=False, **options)
    return path


def seeded_generator(base: int) -> Generator:
    """A narrow network with the official ones' keys."""
    generator = Generator(NARROW_VARIANTS[0].generator).eval()
    shapes = {key: list(value.shape) for key, value in generator.state_dict().items()}
    generator.load_state_dict(seeded_state(shapes, base))
    return generator


@pytest.fixture(autouse=True)
def narrow_networks(monkeypatch):
    know_narrow_networks(monkeypatch)


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Path:
    """An export as for inference: its norms are folded away."""
    folder = tmp_path_factory.mktemp("folded")
    return export(seeded_generator(BASES["official_224"]), folder / "generator.bin")


@pytest.mark.slow
def test_an_export_with_folded_norms_converts_to_the_same_pictures(folded, tmp_path):
    names = {item.name for item in onnx.load(folded).graph.initializer}
    assert not any("down1.1" in name for name in names)
    save_whole_module(official_state("arcface_ir_se_18"), tmp_path / "arcface.tar")
    convert(folded, tmp_path / "arcface.tar", tmp_path / "model")
    bundle = load_bundle(tmp_path / "model")
    assert bundle.config.generator.pixel_range == "unit"
    inputs = fixture_inputs("official_224", 224)
    with torch.inference_mode():
        output = bundle.generator(*inputs)
        expected = seeded_generator(BASES["official_224"])(*inputs)
    assert expected.std() > 0.05
    torch.testing.assert_close(output, expected, atol=2e-4, rtol=0)


@pytest.mark.slow
def test_an_export_with_its_norms_keeps_every_bit_and_tells_the_trainers_pixels(tmp_path):
    network = seeded_generator(BASES["trainer_224"])
    # Exported as for training, norms and constants stay as they are.
    path = export(
        Body(network),
        tmp_path / "generator.onnx",
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    state, pixel_range = read_onnx_generator(path)
    assert pixel_range == "imagenet"
    expected = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in expected)


@pytest.mark.slow
def test_an_export_of_another_function_is_refused_by_running_it(folded, tmp_path):
    model = onnx.load(folded)
    (output,) = model.graph.output
    model.graph.node.append(onnx.helper.make_node("Neg", [output.name], ["negative"]))
    output.name = "negative"
    onnx.save(model, tmp_path / "generator.onnx")
    with pytest.raises(ModelError, match="gives other pictures"):
        read_onnx_generator(tmp_path / "generator.onnx")


def test_another_network_is_refused_by_its_layers(tmp_path):
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Relu", ["x"], ["y"])],
            "other",
            [onnx.helper.make_tensor_value_info("x", 1, [1])],
            [onnx.helper.make_tensor_value_info("y", 1, [1])],
        )
    )
    onnx.save(model, tmp_path / "other.onnx")
    assert is_onnx(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="0 convolutions and 0 linear layers"):
        read_onnx_generator(tmp_path / "other.onnx")


def test_a_cut_model_is_refused(tmp_path):
    (tmp_path / "cut.onnx").write_bytes(b"\x08\x08\x12\x7fabc")
    with pytest.raises(ModelError, match="cut short or damaged"):
        read_onnx_generator(tmp_path / "cut.onnx")


def test_a_layer_without_its_weights_is_refused(tmp_path):
    save_strange(tmp_path / "odd.onnx", lambda build, x: build.node("Conv", x))
    with pytest.raises(ModelError, match="cut short or damaged"):
        read_onnx_generator(tmp_path / "odd.onnx")
