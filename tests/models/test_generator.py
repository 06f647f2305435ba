"""The generator: parity with the official networks, shapes and bad input."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from simswap.models.generator import Generator, GeneratorConfig

DATA = Path(__file__).parents[1] / "data"
OFFICIAL = {
    "official_224": (1000, 224, GeneratorConfig()),
    "official_512": (101000, 512, GeneratorConfig(channels=(32, 64, 128, 256, 512), first_level=0)),
    "trainer_224": (201000, 224, GeneratorConfig(pixel_range="imagenet")),
    "trainer_512": (
        301000,
        512,
        GeneratorConfig(channels=(64, 128, 256, 512, 512), pixel_range="imagenet"),
    ),
}
TINY = GeneratorConfig(channels=(4, 8, 8), num_blocks=1)


def seeded_state(shapes: dict[str, list[int]], base: int) -> dict[str, torch.Tensor]:
    """The fixtures' weights: made from seeds, by the recipe under which they were computed."""
    state = {}
    for number, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        noise = np.random.RandomState(base + number).standard_normal(shape)
        noise = np.asarray(noise, np.float32)
        if key.endswith("num_batches_tracked"):
            noise = np.zeros(shape, np.int64)
        elif len(shape) >= 2:
            noise = noise / np.sqrt(np.prod(shape[1:])).astype(np.float32)
        elif key.endswith(".running_var"):
            noise = 1 + 0.1 * np.abs(noise)
        elif key.endswith(".weight"):
            noise = 1 + 0.1 * noise
        else:
            noise = 0.05 * noise
        state[key] = torch.from_numpy(np.asarray(noise))
    return state


@pytest.mark.slow
@pytest.mark.parametrize("variant", OFFICIAL)
def test_generator_agrees_with_the_official_network(variant):
    base, size, config = OFFICIAL[variant]
    shapes = json.loads((DATA / "keys.json").read_text())[variant]
    expected = np.load(DATA / "expected.npz")
    generator = Generator(config).eval()
    generator.load_state_dict(seeded_state(shapes, base), strict=True)
    random = np.random.RandomState(base + 9000)
    images = torch.from_numpy(random.rand(2, 3, size, size).astype(np.float32))
    embeddings = random.standard_normal((2, 512)).astype(np.float32)
    embeddings = torch.from_numpy(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))
    with torch.inference_mode():
        if config.pixel_range == "unit":
            output = generator(images, embeddings)
        else:  # the fixture holds the normalised pixels themselves, before our clamp to [0, 1]
            output = generator.body(images, embeddings)
    mean_std = torch.stack([output.mean(), output.std()]).numpy()
    np.testing.assert_allclose(output[:, :, ::8, ::8], expected[variant], atol=1e-4, rtol=0)
    np.testing.assert_allclose(mean_std, expected[f"{variant}_mean_std"], atol=1e-4, rtol=0)


def test_what_is_ours_begins_almost_without_effect():
    torch.manual_seed(0)
    plain = Generator(TINY).eval()
    ours = replace(TINY, decoder_styles=True, decoder_blocks=True, gated_skips=True, soft_mask=True)
    larger = Generator(ours).eval()
    larger.load_state_dict(plain.state_dict(), strict=False)
    crops, embeddings = torch.rand(2, 3, 16, 16), F.normalize(torch.randn(2, 512))
    with torch.inference_mode():
        expected = torch.lerp(plain(crops, embeddings), crops, torch.sigmoid(torch.tensor(-2.0)))
        torch.testing.assert_close(larger(crops, embeddings), expected)


@pytest.mark.parametrize("pixel_range", ["unit", "imagenet"])
def test_a_closed_soft_mask_leaves_nothing_of_the_crop_and_an_open_one_all(pixel_range):
    torch.manual_seed(0)
    config = replace(TINY, pixel_range=pixel_range)
    generator, plain = Generator(replace(config, soft_mask=True)).eval(), Generator(config).eval()
    plain.load_state_dict(generator.state_dict(), strict=False)
    crops, embeddings = torch.rand(1, 3, 16, 16), F.normalize(torch.randn(1, 512))
    for bias, expected in ((-50, plain(crops, embeddings)), (50, crops)):
        generator.soft_mask.conv.bias.data.fill_(bias)
        torch.testing.assert_close(generator(crops, embeddings), expected)


@pytest.mark.parametrize(
    ("option", "style"),
    [
        ("decoder_styles", "style2"),
        ("decoder_styles", "style1"),
        ("decoder_blocks", "block2.style2"),
    ],
)
def test_each_decoder_part_lets_the_identity_reach_the_output_by_itself(option, style):
    torch.manual_seed(0)
    generator = Generator(replace(TINY, **{option: True})).eval()
    for block in generator.BottleNeck:  # the bottleneck knows of no identity
        block.register_forward_hook(lambda _, inputs, __: inputs[0])
    crops, embeddings = torch.rand(1, 3, 16, 16).repeat(2, 1, 1, 1), torch.eye(512)[:2]
    with torch.inference_mode():
        one, other = generator(crops, embeddings)
        torch.testing.assert_close(one, other)
        nn.init.normal_(generator.get_submodule(style).linear.weight)
        one, other = generator(crops, embeddings)
    assert (one - other).abs().max() > 0.01


def test_a_gated_skip_lets_detail_reach_the_output_past_the_bottleneck():
    torch.manual_seed(0)
    generator = Generator(replace(TINY, gated_skips=True)).eval()
    for block in generator.BottleNeck:  # every pixel of the bottleneck alike: nothing gets through
        block.register_forward_hook(lambda _, __, features: torch.zeros_like(features))
    crops, embeddings = torch.rand(2, 3, 16, 16), F.normalize(torch.randn(2, 512))
    with torch.inference_mode():
        one, other = generator(crops, embeddings)
        torch.testing.assert_close(one, other)
        nn.init.normal_(generator.skip2.detail.weight)
        one, other = generator(crops, embeddings)
    assert (one - other).abs().max() > 0.01
