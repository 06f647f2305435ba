"""A GPU's swaps: those of the CPU, in float32 and in half precision; batches, videos, memory."""

import gc

import numpy as np
import pytest
import torch

from simswap import FaceSwapper, Identity
from simswap.runtime.pixels import network_input
from simswap.swap.pipeline import FRAME_BATCH
from simswap.swap.rendering import FACE_BATCH, AlignedFace, generate
from simswap.weights.bundle import load_bundle

pytestmark = pytest.mark.slow
IN_FLOAT32, IN_HALF = 4, 8  # levels of 255 that a pixel may differ; a GPU computes in TF32
MEBIBYTE = 2**20


def levels(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """By how much two pictures differ, pixel by pixel."""
    return np.abs(one.astype(int) - other)


def test_a_photo_is_swapped_as_on_the_cpu(on_device, astronaut, identity, expected):
    result = on_device.swap_image(astronaut, identity)
    assert result.swapped == (0,)
    difference = levels(result.image, expected)
    assert difference.max() <= IN_FLOAT32
    assert difference.mean() < 0.1


def test_half_precision_is_close_to_float32(in_half, astronaut, identity, expected):
    assert in_half.running.generator.precision == "bfloat16"
    difference = levels(in_half.swap_image(astronaut, identity).image, expected)
    assert 0 < difference.max() <= IN_HALF
    assert difference.mean() < 0.2


def test_faces_are_found_where_the_cpu_finds_them(on_device, swapper, astronaut):
    (found,), (face,) = on_device.detect(astronaut), swapper.in_torch().detect(astronaut)
    assert np.abs(found.landmarks - face.landmarks).max() < 0.2  # px
    assert np.abs(found.box - face.box).max() < 0.5


def test_a_batch_of_frames_gives_what_single_frames_give(
    on_device, astronaut, grace_hopper, identity
):
    frames = [astronaut, grace_hopper[:512, :512], astronaut[:, ::-1]]
    alone = on_device.swap_frames(frames, identity, batch_size=1)
    together = on_device.swap_frames(frames, identity, batch_size=FRAME_BATCH["cuda"])
    for one, other in zip(alone, together, strict=True):
        assert one.swapped == other.swapped
        assert levels(one.image, other.image).max() <= IN_FLOAT32


def test_a_crowd_is_generated_in_several_batches(on_device, identity):
    crop = np.full((128, 128, 3), 90, np.uint8)
    faces = [AlignedFace(crop, np.eye(2, 3), np.zeros((5, 2)))] * (FACE_BATCH + 1)
    embeddings = np.repeat(identity.embedding[None], len(faces), axis=0)
    crops = generate(on_device.running.generator, faces, embeddings)
    assert crops.shape == (FACE_BATCH + 1, 128, 128, 3)
    assert np.abs(crops - crops[0]).max() < 0.02


def test_networks_compute_with_channels_last(on_device, in_half, identity):
    for model in (on_device, in_half):
        assert all(
            given.is_contiguous(memory_format=torch.channels_last)
            for given in (outputs_of_convolutions(model, identity))
        )


def outputs_of_convolutions(model: FaceSwapper, identity: Identity) -> list[torch.Tensor]:
    """What each convolution of the generator gives for two crops."""
    network, given = model.running.generator, []
    crops = network_input(torch.zeros(2, 128, 128, 3, dtype=torch.uint8, device=network.device))
    embeddings = torch.from_numpy(identity.embedding).to(network.device).expand(2, -1)
    layers = [layer for layer in network._module.modules() if isinstance(layer, torch.nn.Conv2d)]
    hooks = [layer.register_forward_hook(lambda *call: given.append(call[2])) for layer in layers]
    network(crops, embeddings)
    for hook in hooks:
        hook.remove()
    assert len(given) == len(layers)
    return given


def test_a_video_is_swapped_in_batches(on_device, face_clip, identity, tmp_path):
    report = on_device.swap_video(face_clip, tmp_path / "out.mp4", identity)
    assert (tmp_path / "out.mp4").stat().st_size > 10_000
    assert report.faces_swapped > 0
    assert report.frames_without_face > 0


@pytest.mark.gpu
def test_swaps_keep_no_memory_and_a_model_gives_all_of_its_own_back(astronaut, identity):
    gc.collect()
    before = torch.cuda.memory_allocated()
    model = FaceSwapper(load_bundle(), "cuda")
    model.swap_image(astronaut, identity)
    held = torch.cuda.memory_allocated()
    for _ in range(5):
        model.swap_image(astronaut, identity)
    assert torch.cuda.memory_allocated() <= held
    del model
    gc.collect()
    assert torch.cuda.memory_allocated() - before < MEBIBYTE
