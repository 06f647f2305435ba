"""The generator: its shapes and parts. Parity with the official ones: weights/test_convert.py."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from simswap.models.generator import Generator, GeneratorConfig

TINY = GeneratorConfig(channels=(4, 8, 8), num_blocks=1)


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
