"""The generator: parity with the official networks, shapes and bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from simswap.models.generator import Generator, GeneratorConfig

DATA = Path(__file__).parent / "data"
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
