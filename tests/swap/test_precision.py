"""The generator's precision: chosen by what the CPU can do, and close to float32.

No test here measures speed: the CPU's abilities are stood in for, its arithmetic is imitated.
"""

import numpy as np
import pytest
import torch

from simswap import Face, FaceSwapper, geometry
from simswap.cli.benchmark import photo as photo_benchmark
from simswap.models import inference
from simswap.runtime.torch_networks import TorchNetwork
from simswap.swap import rendering
from simswap.swap.rendering import AlignedFace
from tests.support.weights.tiny_bundle import make_bundle

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def tiny_counts_as_large(monkeypatch):
    monkeypatch.setattr(inference, "LARGE_GENERATOR", 0)


@pytest.fixture(params=[False, True], ids=["without avx512_bf16", "with avx512_bf16"])
def has_bf16(request, monkeypatch) -> bool:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param})
    return request.param


@pytest.fixture
def aligned() -> list[AlignedFace]:
    crops = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), np.uint8)
    return [AlignedFace(crop, np.eye(2, 3), np.zeros((5, 2))) for crop in crops]


def test_bfloat16_is_chosen_where_the_cpu_computes_in_it(has_bf16):
    assert inference.generator_dtype(torch.nn.Identity(), CPU) is (
        torch.bfloat16 if has_bf16 else torch.float32
    )


@pytest.mark.parametrize(("capability", "precision"), [((7, 5), "float32"), ((8, 0), "bfloat16")])
def test_a_gpu_that_computes_in_bfloat16_is_given_it(monkeypatch, capability, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    chosen = inference.generator_dtype(torch.nn.Identity(), torch.device("cuda"))
    assert str(chosen) == f"torch.{precision}"


def test_cpus_of_other_makes_keep_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64"})
    assert inference.generator_dtype(torch.nn.Identity(), CPU) is torch.float32


def test_a_small_generator_stays_in_float32_everywhere(monkeypatch):
    monkeypatch.setattr(inference, "LARGE_GENERATOR", 20_000_000)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    generator = FaceSwapper(make_bundle(), "cpu").generator
    assert inference.for_rendering(generator, CPU) is generator


def test_the_swapper_renders_in_what_was_chosen_and_its_generator_stays_float32(
    has_bf16, aligned, identity, monkeypatch
):
    swapper = FaceSwapper(make_bundle(), "cpu", runtime="torch")
    rendering_generator = swapper.running.generator
    assert rendering_generator.precision == ("bfloat16" if has_bf16 else "float32")
    assert all(value.dtype is torch.float32 for value in swapper.generator.parameters())
    used = []
    rendering_generator._module.register_forward_hook(lambda *_: used.append(True))
    frame = np.zeros((64, 64, 3), np.uint8)
    landmarks = geometry.frontal_template(swapper.alignment.crop_template) * 60
    face = Face(np.float32([0, 0, 60, 60]), landmarks.astype(np.float32), 1.0)
    monkeypatch.setattr(swapper, "detect_batch", lambda *_: [[face]])  # it has learnt nothing
    assert swapper.swap_image(frame, identity).swapped == (0,)
    assert used


def test_reduced_weights_lie_in_channels_last(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    reduced = inference.for_rendering(FaceSwapper(make_bundle(), "cpu").generator, CPU)
    weights = reduced.down1[0].weight
    assert weights.is_contiguous(memory_format=torch.channels_last)


def test_what_is_rendered_in_bfloat16_is_close_to_float32(monkeypatch, aligned, identity):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    generator = FaceSwapper(make_bundle(), "cpu").generator
    embeddings = np.repeat(identity.embedding[None], len(aligned), axis=0)
    networks = (TorchNetwork(generator), TorchNetwork(inference.for_rendering(generator, CPU)))
    exact, reduced = (rendering.generate(one, aligned, embeddings) for one in networks)
    assert reduced.dtype == np.float32
    difference = np.abs(reduced - exact)
    assert 0 < difference.max() < 0.05
    assert difference.mean() < 0.01


@pytest.mark.slow
def test_the_benchmark_reports_the_precision_and_how_far_it_is_from_float32(
    has_bf16, monkeypatch, astronaut, quick_folder
):
    monkeypatch.setattr(photo_benchmark, "_cold_start", lambda *_: (0.0, 0.0))  # another process
    model = str(quick_folder)  # a CPU that imitates bfloat16 is slow
    report = photo_benchmark.run(astronaut, model, 1, lambda _: None, runtime="torch")
    assert report.generator_dtype == ("bfloat16" if has_bf16 else "float32")
    assert report.max_difference < 0.1
    assert (report.max_difference > 0) is has_bf16
    assert (
        f"run by torch, the generator in {report.generator_dtype}"
        in photo_benchmark.to_markdown(report)
    )
