"""What OpenVINO computes is what torch computes, for every user of a shared network."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simswap import FaceSwapper
from simswap.models.detector import DetectorMaps
from simswap.swap.pipeline import DEFAULT_OPTIONS
from tests.support.examples import ROOT
from tests.support.weights.tiny_bundle import make_bundle

pytest.importorskip("openvino", reason="has no wheel for this platform")

from simswap.runtime import openvino_networks
from simswap.runtime.openvino_networks import OpenVinoNetwork

NO_SHIFT = 0.05  # px of a photo that landmarks may differ by


@pytest.fixture(scope="module")
def tiny() -> FaceSwapper:
    return FaceSwapper(make_bundle(), "cpu", runtime="openvino")


@pytest.fixture(scope="module")
def bundled() -> FaceSwapper:
    return FaceSwapper.from_pretrained(device="cpu", runtime="openvino")


@pytest.fixture
def crops() -> Tensor:
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def embeddings() -> Tensor:
    numbers = torch.randn(3, 512, generator=torch.Generator().manual_seed(2))
    return nn.functional.normalize(numbers)


def flat(maps: DetectorMaps) -> list[Tensor]:
    return list(openvino_networks._tensors_in(maps))


def is_reduced(network: OpenVinoNetwork) -> bool:
    return network.precision != "float32"


def test_the_generator_gives_what_torch_gives(tiny, crops, embeddings):
    found = tiny.running.generator(crops, embeddings)
    assert tiny.running.generator.runtime == "openvino"
    wanted = tiny.in_torch().running.generator(crops, embeddings)
    tolerance = 0.02 if is_reduced(tiny.running.generator) else 1e-5
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


def test_the_identity_network_gives_what_torch_gives(tiny):
    crops = torch.rand(2, 3, 112, 112, generator=torch.Generator().manual_seed(3))
    found, wanted = (each.running.identity(crops) for each in (tiny, tiny.in_torch()))
    assert (nn.functional.cosine_similarity(found, wanted) > 0.999).all()


@pytest.mark.parametrize("shape", [(1, 3, 64, 96), (3, 3, 128, 128), (1, 3, 384, 640)])
def test_the_detector_gives_maps_of_any_size_as_torch_does(bundled, shape):
    images = torch.rand(shape, generator=torch.Generator().manual_seed(4))
    plain = bundled.in_torch().running.detector
    found, wanted = bundled.running.detector.whole(images), plain.whole(images)
    assert isinstance(found, DetectorMaps)
    torch.testing.assert_close(flat(found), flat(wanted), atol=1e-4, rtol=1e-4)
    upright = flat(bundled.running.detector.upright(images))
    torch.testing.assert_close(upright, flat(plain.upright(images)), atol=1e-4, rtol=1e-4)


def test_threads_that_share_a_network_each_get_their_own_result(tiny, crops, embeddings):
    alone = [tiny.running.generator(crop[None], embeddings[:1]) for crop in crops]
    with ThreadPoolExecutor(6) as pool:
        found = pool.map(
            lambda i: tiny.running.generator(crops[i % 3][None], embeddings[:1]), range(60)
        )
        assert all(torch.equal(output, alone[i % 3]) for i, output in enumerate(found))


def test_threads_that_come_first_together_compile_once(crops, embeddings, monkeypatch):
    compiled, compile_network = [], openvino_networks._compile

    def counted(*given):
        compiled.append(given)
        return compile_network(*given)

    monkeypatch.setattr(openvino_networks, "_compile", counted)
    network = FaceSwapper(make_bundle(), "cpu", runtime="openvino").running.generator
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(lambda _: network(crops, embeddings), range(4)))
    assert len(compiled) == 1
    assert all(torch.equal(output, outputs[0]) for output in outputs)


def test_a_result_stays_when_the_network_is_called_again(tiny, crops, embeddings):
    first = tiny.running.generator(crops[:1], embeddings[:1])
    kept = first.clone()
    tiny.running.generator(crops[1:2], embeddings[1:2])
    assert torch.equal(first, kept)


def test_of_the_same_faces_a_photo_is_swapped_as_by_torch(bundled, astronaut, identity):
    plain, (faces,) = bundled.in_torch(), bundled.detect_batch([astronaut], DEFAULT_OPTIONS)
    images = [
        each.render([astronaut], [each.plan(astronaut, faces, identity, DEFAULT_OPTIONS)],
                    DEFAULT_OPTIONS)[0].image
        for each in (bundled, plain)
    ]  # fmt: skip
    difference = np.abs(images[0].astype(int) - images[1])
    assert difference.max() <= (6 if is_reduced(bundled.running.generator) else 1)


def test_faces_are_found_where_torch_finds_them(bundled, astronaut):
    found, wanted = bundled.detect(astronaut), bundled.in_torch().detect(astronaut)
    assert len(found) == len(wanted) == 1
    np.testing.assert_allclose(found[0].landmarks, wanted[0].landmarks, atol=NO_SHIFT)


LOADED_ALONE = """
import sys
opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
from simswap.runtime.openvino_networks import TELEMETRY, _core
assert "CPU" in _core().available_devices
assert TELEMETRY not in sys.modules
assert opened == []
"""


def test_it_is_loaded_without_its_telemetry():
    done = subprocess.run([sys.executable, "-c", LOADED_ALONE], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


class Unknown(nn.Module):
    """Does what OpenVINO has no operation for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, values: Tensor) -> Tensor:
        return torch.special.i1e(values) * self.weight


def test_a_module_that_openvino_cannot_take_is_run_by_torch_and_logged(caplog):
    network = OpenVinoNetwork(Unknown(), ((1, 3),), may_reduce=False)
    values = torch.rand(1, 3)
    assert torch.equal(network(values), torch.special.i1e(values))
    assert network.runtime == "torch"
    assert "run by torch" in caplog.text
