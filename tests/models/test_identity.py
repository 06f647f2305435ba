"""Identity networks: parity with the official ones, folding, configs, bad input; verification."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from simswap.models.identity import (
    ConvLayer,
    IdentityConfig,
    build_identity_network,
    embed_identity,
    ir_se_config_from_state,
)
from simswap.models.inference import fold_batch_norms
from tests.support.weights.official_weights import BASES, DATA, official_state
from train.checks.identity import balanced_pairs, verification_accuracy
from train.distill.identity import TRUNK_TEACHER, augment, load_teacher_trunk

TEACHER = Path(__file__).parents[3] / "shared" / "data" / "models" / TRUNK_TEACHER
RAW_INPUT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


@pytest.mark.slow
def test_the_deepest_ir_se_agrees_with_the_official_network():
    """And the published one: tests/weights/test_convert.py."""
    config = IdentityConfig("ir_se", blocks=(3, 4, 23, 3), **RAW_INPUT)
    network = build_identity_network(config).eval()
    network.load_state_dict(official_state("arcface_ir_se_101"), strict=True)
    random = np.random.RandomState(BASES["arcface_ir_se_101"] + 9000)
    crops = random.standard_normal((2, 3, 112, 112))
    with torch.inference_mode():
        embeddings = network(torch.from_numpy(crops.astype(np.float32))).numpy()
    expected = np.load(DATA / "expected.npz")["arcface_ir_se_101"]
    # Random weights grow the output with depth: 101 layers give values up to 170.
    assert np.abs(embeddings - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("variant", ["arcface_ir_se_18", "arcface_ir_se_101"])
def test_ir_se_config_is_read_from_the_published_keys(variant):
    shapes = json.loads((DATA / "keys.json").read_text())[variant]
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    with torch.device("meta"):
        network = build_identity_network(ir_se_config_from_state(state))
    made = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert made == shapes


def test_ir_se_config_refuses_a_foreign_state_dict():
    with pytest.raises(ValueError, match="Not the state dict of an ir_se"):
        ir_se_config_from_state({"layer1.0.weight": torch.zeros(1)})


def perturb_batch_norm(network):
    """Give batch norms statistics and weights that are not those of the identity map."""
    for layer in network.modules():
        if isinstance(layer, ConvLayer):
            for name in ("running_mean", "running_var", "weight", "bias"):
                getattr(layer.norm, name).data.uniform_(0.5, 1.5)


def test_folding_batch_norm_keeps_the_output():
    torch.manual_seed(0)
    network = build_identity_network(IdentityConfig(batch_norm=True)).eval()
    perturb_batch_norm(network)
    crops = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        expected = network(crops)
        fold_batch_norms(network)
        torch.testing.assert_close(network(crops), expected, rtol=1e-3, atol=1e-5)


def test_folded_network_loads_into_the_default_config():
    network = build_identity_network(IdentityConfig(batch_norm=True))
    fold_batch_norms(network.eval())
    build_identity_network(IdentityConfig()).load_state_dict(network.state_dict(), strict=True)


def test_bundled_network_is_small():
    network = build_identity_network(IdentityConfig())
    assert sum(value.numel() for value in network.parameters()) <= 4_000_000


@pytest.mark.parametrize("size", [64, 112, 224])
def test_embedding_has_unit_norm_for_any_crop_size(size):
    torch.manual_seed(0)
    network = build_identity_network(IdentityConfig()).eval()
    embeddings = embed_identity(network, torch.rand(2, 3, size, size))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_normalisation_is_not_in_the_state_dict():
    network = build_identity_network(IdentityConfig())
    assert not [name for name in network.state_dict() if name.startswith("prepare")]


def test_config_survives_json():
    config = IdentityConfig("ir_se", blocks=(2, 2, 2, 2))
    assert IdentityConfig(**json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    "options",
    [
        {"architecture": "vit"},
        {"architecture": "ir_se"},
        {"architecture": "ir_se", "blocks": (2, 2, 0, 2)},
        {"embedding_size": 0},
        {"std": (1.0, 0.0, 1.0)},
    ],
)
def test_config_refuses_bad_values(options):
    with pytest.raises(ValueError):  # noqa: PT011 - each message is the config's own
        IdentityConfig(**options)


@pytest.mark.parametrize("shape", [(3, 112, 112), (1, 1, 112, 112), (1, 3, 112, 96)])
def test_crops_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"Crops must be \[B, 3, S, S\]"):
        build_identity_network(IdentityConfig())(torch.rand(shape))


def test_verification_is_perfect_when_people_are_apart():
    identities = [str(number // 4) for number in range(40)]
    embeddings = torch.eye(10).repeat_interleave(4, dim=0)
    assert verification_accuracy(embeddings, identities) == 1.0


def test_verification_is_chance_for_random_embeddings():
    identities = [str(number // 4) for number in range(400)]
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(400, 64, generator=generator), dim=1)
    assert abs(verification_accuracy(embeddings, identities) - 0.5) < 0.06


def test_pairs_are_balanced_and_rightly_labelled():
    identities = [str(number // 3) for number in range(30)]
    pairs, is_same = balanced_pairs(identities, seed=0)
    truth = [identities[first] == identities[second] for first, second in pairs]
    assert is_same.tolist() == truth
    assert is_same.sum() * 2 == len(pairs) == 60


@pytest.mark.skipif(not TEACHER.is_file(), reason=f"{TEACHER.name} is not in ../shared")
def test_student_trunk_starts_as_the_teachers():
    torch.manual_seed(0)
    student = build_identity_network(IdentityConfig(batch_norm=True)).eval()
    load_teacher_trunk(student, TEACHER)
    teacher = torch.jit.load(TEACHER, map_location="cpu").eval()
    head = {name: value for name, value in teacher.state_dict().items() if "num_" not in name}
    crops = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        features = torch.nn.functional.linear(
            student.pooled_features(crops),
            head["net.conv3.weight"].flatten(1),
            head["net.conv3.bias"],
        )
        norm = [
            head[f"net.bn.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
        ]
        embeddings = torch.nn.functional.batch_norm(features, *norm)
        torch.testing.assert_close(embeddings, teacher(crops), rtol=0, atol=1e-4)


def test_augmented_image_stays_near_the_plain_one():
    torch.manual_seed(0)
    ramp = torch.linspace(0.2, 0.8, 112)
    images = (ramp[:, None] + ramp[None]).div(2).expand(8, 3, -1, -1)
    augmented = augment(images)
    difference = torch.minimum(
        (augmented - images).abs().mean((1, 2, 3)),
        (augmented - images.flip(-1)).abs().mean((1, 2, 3)),
    )
    assert difference.max() < 0.2
