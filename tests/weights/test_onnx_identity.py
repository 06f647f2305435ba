"""ArcFace networks of insightface's layout as identity networks: in bundles, teachers, training."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simswap import FaceSwapper, ModelError, SwapOptions
from simswap.models.identity import build_identity_network, embed_identity
from simswap.weights.bundle import Alignment, Bundle, load_bundle, save_bundle
from simswap.weights.onnx.identity import read_onnx_identity
from tests.support.examples import EXAMPLES
from tests.support.warm_python import run_warm
from tests.support.weights.arcface_onnx import (
    save_iresnet,
    save_mobilefacenet,
    save_strange,
    save_with_own_scaling,
)
from tests.support.weights.tiny_bundle import make_bundle

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

KINDS = {
    "iresnet": (save_iresnet, 127.5, 127.5),
    "mobilefacenet": (save_mobilefacenet, 127.5, 127.5),
    "with its own scaling": (save_with_own_scaling, 0.0, 1.0),
}


def as_insightface(path: Path, crops: np.ndarray, mean: float, std: float) -> np.ndarray:
    """What its ArcFaceONNX computes of uint8 RGB crops [B, 112, 112, 3]."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    blob = (crops.astype(np.float32) - mean) / std
    return session.run(None, {session.get_inputs()[0].name: blob.transpose(0, 3, 1, 2)})[0]


def bundle_with(path: Path) -> Bundle:
    """A tiny bundle whose identity network is that of an ONNX file."""
    config, state = read_onnx_identity(path)
    network = build_identity_network(config).eval()
    network.load_state_dict(state)
    tiny = make_bundle()
    alignment = Alignment(crop_size=32, identity_template="arcface")
    config = replace(tiny.config, identity=config, alignment=alignment)
    return Bundle(config, tiny.generator, network, tiny.detector)


@pytest.fixture(scope="module")
def arcface(tmp_path_factory) -> Path:
    return save_iresnet(tmp_path_factory.mktemp("pack") / "w600k_r50.onnx")


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_embeds_as_insightface_does(tmp_path, kind):
    save, mean, std = KINDS[kind]
    path = save(tmp_path / "network.onnx")
    save_bundle(bundle_with(path), tmp_path / "model", "# A\n", half=False)
    loaded = load_bundle(tmp_path / "model")
    crops = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    expected = as_insightface(path, crops, mean, std)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    tensor = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        found = embed_identity(loaded.identity_network, tensor)
    assert found.shape == (2, 512)
    assert (found @ torch.from_numpy(expected).T).diag().min() > 0.9999
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_written_to_config_json_comes_back_equal(arcface, tmp_path):
    bundle = bundle_with(arcface)
    save_bundle(bundle, tmp_path / "model", "# A\n")
    assert load_bundle(tmp_path / "model").config == bundle.config


def test_gradients_flow_to_the_crops(arcface):
    network = bundle_with(arcface).identity_network.requires_grad_(False)
    crops = torch.rand(1, 3, 112, 112, requires_grad=True)
    network(crops).sum().backward()
    assert crops.grad.abs().max() > 0


def test_a_photo_is_swapped_with_the_identity_that_an_onnx_network_sees(arcface, astronaut):
    real = load_bundle()  # for its detector
    bundle = replace(bundle_with(arcface), detector=real.detector)
    swapper = FaceSwapper(bundle, "cpu")
    identity = swapper.identity_of(astronaut)
    crop = swapper.detect(astronaut)[0]
    assert np.linalg.norm(identity.embedding) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(identity.embedding, swapper.embed(astronaut, [crop])[0], atol=1e-5)
    assert swapper.swap_image(astronaut, identity, SwapOptions()).swapped == (0,)


@pytest.fixture(scope="module")
def trained(arcface, data, tmp_path_factory) -> Path:
    """What a training with the network as identity network and as teacher leaves."""
    pytest.importorskip("datasets", reason="needs the train extra")
    from tests.support.training.training_here import train_here
    from tests.support.training.training_runs import write_config

    folder = tmp_path_factory.mktemp("training")
    flags = ("--identity-model", str(arcface), "--teachers", str(arcface), "--num-steps", "2")
    assert train_here(write_config(folder, data), *flags) == 0
    return folder / "run" / "bundle"


@pytest.mark.slow
def test_the_trainer_takes_it_as_identity_network_and_as_teacher(trained, arcface):
    config, state = read_onnx_identity(arcface)
    bundle = load_bundle(trained)
    assert bundle.config.identity == config
    assert bundle.config.alignment.identity_template == "arcface"
    for name, value in bundle.identity_network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-3, atol=1e-3)  # kept in float16


@pytest.mark.slow
def test_a_bundle_that_was_trained_with_it_swaps_where_onnx_is_not_installed(trained, astronaut):
    blocked = "import sys; sys.modules['onnx'] = sys.modules['onnxruntime'] = None\n"
    script = "from simswap.__main__ import main; sys.exit(main(sys.argv[1:]))"
    photo, output = EXAMPLES / "astronaut.jpg", trained / "out.png"
    command = ["image", "--source", photo, "--target", photo, "--output", output]
    command += ["--model", trained]
    run_warm("-c", blocked + script, *command).check_returncode()
    swapper = FaceSwapper.from_pretrained(trained, device="cpu", runtime="torch")  # as `image`
    expected = swapper.swap_image(astronaut, swapper.identity_of(astronaut)).image
    assert np.array_equal(np.array(Image.open(output).convert("RGB")), expected)


def test_a_damaged_teacher_is_one_sentence(arcface, tmp_path):
    from train.errors import TrainingError
    from train.networks.teachers import load_teacher

    (tmp_path / "cut.onnx").write_bytes(arcface.read_bytes()[:-1000])
    with pytest.raises(TrainingError, match=r"cut\.onnx is cut short or damaged"):
        load_teacher(str(tmp_path / "cut.onnx"), torch.device("cpu"))


STRANGE = {
    "an unknown layer": (lambda build, x: build.node("Softplus", x), "a layer 'Softplus'"),
    "maps, not a vector": (lambda build, x: build.node("Relu", x), r"gives \[1, 4, 7, 7\]"),
    "a layer without its weights": (lambda build, x: build.node("Conv", x), "cut short or damaged"),
    "a shape that is no vector's": (
        lambda build, x: build.node("Reshape", x, np.array([1, 4, 49])),
        "reshapes to something other",
    ),
    "uneven padding": (
        lambda build, x: build.convolution(x, 4, 4, kernel_shape=[2, 2], pads=[0, 0, 1, 1]),
        "pads unevenly",
    ),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_network_that_is_not_understood_is_refused_by_its_layer(tmp_path, case):
    change, said = STRANGE[case]
    with pytest.raises(ModelError, match=said):
        read_onnx_identity(save_strange(tmp_path / "strange.onnx", change))


def test_a_network_that_computes_something_else_here_is_refused_by_running_it(arcface, monkeypatch):
    monkeypatch.setattr(
        "simswap.weights.onnx.identity.run_onnx", lambda path, crops: crops[:, 0, 0] * 0
    )
    with pytest.raises(ModelError, match="other numbers here than in onnxruntime"):
        read_onnx_identity(arcface)


def test_a_cut_file_is_refused(arcface, tmp_path):
    (tmp_path / "cut.onnx").write_bytes(arcface.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cut short or damaged"):
        read_onnx_identity(tmp_path / "cut.onnx")


@pytest.mark.parametrize("number", ["8000000000", "8000000"])
def test_a_config_that_describes_far_more_than_its_weights_is_refused(arcface, tmp_path, number):
    folder = tmp_path / "model"
    save_bundle(bundle_with(arcface), folder, "# A\n")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        text.replace('"out_channels": 8', f'"out_channels": {number}')
    )
    with pytest.raises(ModelError, match=r"config\.json describes a"):
        load_bundle(folder)
