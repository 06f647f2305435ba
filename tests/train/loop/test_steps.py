"""One training step, on tiny real networks."""

import copy
from dataclasses import replace

import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")

from torch import nn
from torch.nn import functional as F

from simswap.models.generator import Generator
from simswap.models.identity import push_embeddings_apart
from simswap.weights.bundle import load_bundle
from tests.support.training.training_step import BUNDLE, CONFIG, CPU, Run, pairs, small_frozen
from train.config import DiscriminatorConfig
from train.errors import TrainingError
from train.loop.monitor import LossWatch
from train.loop.steps import Pairs
from train.loss_weights import LossWeights, Ramp
from train.networks.trained import FrozenNetworks, Networks, take_weights


@pytest.fixture(scope="module")
def frozen():
    return small_frozen()


def guided_networks() -> FrozenNetworks:
    generator = replace(CONFIG.generator, identity_guidance=0.5)
    return small_frozen(replace(CONFIG, generator=generator))


def test_embeddings_are_guided_as_the_pipeline_guides_them(frozen):
    batch, guided = pairs(same=False), guided_networks()
    embeddings = frozen.embed_sources(batch.sources, batch.targets)
    targets = frozen.embed_sources(guided.to_identity_crop(batch.targets), batch.targets)
    expected = push_embeddings_apart(embeddings, targets, 0.5)
    torch.testing.assert_close(guided.embed_sources(batch.sources, batch.targets), expected)
    assert not torch.allclose(embeddings, expected)


def test_reconstruction_counts_in_same_identity_batches_only(frozen):
    run = Run(frozen)
    assert "reconstruction" in run.step(0, pairs(same=True))
    assert "reconstruction" not in run.step(1, pairs(same=False))


@pytest.mark.parametrize("name", ["colour", "edges", "restraint"])
def test_further_losses_count_in_all_batches_once_they_weigh(frozen, name):
    without, weighed = Run(frozen), Run(frozen, weights=replace(LossWeights(), **{name: 1e3}))
    for same in (True, False):
        assert name not in without.step(0, pairs(same=same))
        assert name in weighed.step(0, pairs(same=same))
    assert not torch.allclose(without.output(), weighed.output())


def test_a_step_tells_its_gradients_norm_and_what_the_discriminators_think(frozen):
    run = Run(frozen, discriminator_from=0)
    losses = run.step(0, pairs(same=True))
    assert losses["gradient/norm"] > 0
    hinge = losses["discriminator"]  # of logits within the margins, as they begin
    assert hinge == pytest.approx(2 - losses["logits/real"] + losses["logits/fake"], abs=0.2)


def test_the_discriminators_wait_for_their_first_step(frozen):
    run = Run(frozen, discriminator_from=5)
    before = [value.clone() for value in run.networks.plain_discriminator.parameters()]
    assert "adversarial" not in run.step(4, pairs(same=True))
    after = list(run.networks.plain_discriminator.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert {"adversarial", "discriminator"} <= run.step(5, pairs(same=True)).keys()


def test_until_generator_from_only_the_discriminators_learn(frozen):
    run = Run(frozen, generator_from=2, discriminator_from=0)
    generator, discriminator = run.networks.plain_generator, run.networks.plain_discriminator
    before = [copy.deepcopy(network.state_dict()) for network in (generator, discriminator)]
    assert run.step(1, pairs(same=False)).keys() == {"discriminator", "logits/real", "logits/fake"}
    for name, value in before[0].items():
        if "running" not in name and "tracked" not in name:  # statistics follow what passes
            assert torch.equal(generator.state_dict()[name], value), name
    assert any(
        not torch.equal(discriminator.state_dict()[name], value)
        for name, value in before[1].items()
    )
    assert {"identity", "discriminator"} <= run.step(2, pairs(same=False)).keys()


def test_the_optimisers_have_rates_of_their_own(frozen):
    networks = Run(frozen).networks
    networks.set_learning_rates(1e-4, 4e-4)
    optimizers = networks.generator_optimizer, networks.discriminator_optimizer
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == [1e-4, 4e-4]


def test_no_feature_matching_is_the_papers_ablation(frozen):
    weights = replace(CONFIG.weights, feature_matching=0.0)
    run = Run(frozen, weights=weights, discriminator_from=0)
    assert "feature_matching" not in run.step(0, pairs(same=True))


def test_the_gradient_penalty_joins_where_it_has_a_weight(frozen):
    weights = replace(CONFIG.weights, gradient_penalty=1e-5)
    plain = DiscriminatorConfig(width=4, spectral_norm=False)
    run = Run(frozen, weights=weights, discriminator=plain, discriminator_from=0)
    assert run.step(0, pairs(same=True))["gradient_penalty"] > 0


def test_the_released_discriminators_train_with_batch_norms_and_a_penalty(frozen):
    weights = replace(CONFIG.weights, gradient_penalty=1e-5)
    released = DiscriminatorConfig(width=4, num_halvings=4, last_kernel=4, batch_norm=True)
    settings = {"discriminator": released, "feature_matching_layers": (3, 4), "crop_size": 128}
    run = Run(frozen, weights=weights, discriminator_from=0, **settings)
    before = copy.deepcopy(run.networks.plain_discriminator.state_dict())
    losses = run.step(0, pairs(same=True, size=128))
    assert {"gradient_penalty", "feature_matching"} <= losses.keys()
    for name, value in run.networks.plain_discriminator.state_dict().items():
        assert not torch.equal(value, before[name]), name


@pytest.mark.slow
def test_repeated_steps_on_one_batch_lower_the_reconstruction_loss(frozen):
    no_identity = LossWeights(identity=Ramp(0, 0, 0, 0))  # the two losses pull apart here
    run = Run(frozen, weights=no_identity, learning_rate=4e-3)
    losses = [run.step(0, pairs(same=True))["reconstruction"] for _ in range(30)]
    assert losses[-1] < 0.9 * losses[0]


def test_accumulated_batches_train_like_one_large_batch(frozen):
    # The first layer's batch norm sees each part by itself, so that the parts must be alike.
    no_adversary = {"discriminator_from": 10, "learning_rate": 1e-4}
    part = pairs(same=True)
    double = Pairs(part.targets.repeat(2, 1, 1, 1), part.sources.repeat(2, 1, 1, 1), True)
    whole = Run(frozen, **no_adversary)
    whole.step(0, double)
    parts = Run(frozen, accumulation=2, **no_adversary)  # Accelerate counts for all runs at once
    parts.step(0, part, part)
    # Compared by what they compute: a bias before a batch norm is free, and Adam moves it at will.
    torch.testing.assert_close(whole.output(), parts.output(), atol=3e-4, rtol=0)
    assert (whole.output() - Run(frozen).output()).abs().max() > 1e-3  # the step counts


def test_gradient_checkpointing_changes_no_update(frozen):
    plain, checkpointed = Run(frozen), Run(frozen, gradient_checkpointing=True)
    for run in (plain, checkpointed):
        run.step(0, pairs(same=True))
    for one, other in zip(plain.generator(), checkpointed.generator(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_new_run_starts_from_the_weights_of_a_bundle():
    bundle = load_bundle(BUNDLE)
    config = replace(CONFIG, init_from=BUNDLE, generator=bundle.config.generator, crop_size=128)
    networks = Networks(config, CPU)
    for ours, theirs in zip(
        networks.plain_generator.parameters(), bundle.generator.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_what_a_generator_has_beyond_the_bundle_it_starts_from_begins_without_effect(tiny_folder):
    smaller = load_bundle(tiny_folder).generator.eval()
    config = replace(
        smaller.config,
        num_blocks=smaller.config.num_blocks + 2,
        decoder_styles=True,
        decoder_blocks=True,
        gated_skips=True,
    )
    torch.manual_seed(0)
    larger = Generator(config).eval()
    take_weights(larger, str(tiny_folder))
    crops, embeddings = torch.rand(1, 3, 64, 64), F.normalize(torch.randn(1, 512))
    with torch.inference_mode():
        torch.testing.assert_close(larger(crops, embeddings), smaller(crops, embeddings))


def test_weights_of_another_architecture_are_refused():
    with pytest.raises(TrainingError, match="holds another generator"):
        Networks(replace(CONFIG, init_from=BUNDLE), CPU)


def test_a_torchscript_teacher_trains_the_generator(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.AvgPool2d(28), torch.nn.Flatten(), torch.nn.Linear(48, 8)
    )
    path = tmp_path / "teacher.pt"
    torch.jit.save(torch.jit.script(network), path)
    frozen = FrozenNetworks(replace(CONFIG, teachers=(str(path),)), load_bundle(BUNDLE), CPU)
    only_identity = LossWeights(reconstruction=Ramp(0, 0, 0, 0), low_frequency=0)
    run = Run(frozen, weights=only_identity, learning_rate=4e-3)
    losses = [run.step(0, pairs(same=True))["identity"] for _ in range(10)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ("nowhere.pt", "neither a TorchScript nor ONNX file nor a bundle"),
        ("README.md", "no TorchScript file"),
    ],
)
def test_a_teacher_that_does_not_load_is_named(teacher, message):
    with pytest.raises(TrainingError, match=message):
        FrozenNetworks(replace(CONFIG, teachers=(teacher,)), load_bundle(BUNDLE), CPU)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named():
    watch = LossWatch()
    watch.record(6, True, {"identity": torch.tensor(1.0)})
    with pytest.raises(TrainingError, match=r"loss reconstruction became nan at step 8"):
        watch.record(
            7, True, {"identity": torch.tensor(1.0), "reconstruction": torch.tensor(torch.nan)}
        )


def test_identity_losses_are_averaged_by_the_kind_of_batch():
    watch = LossWatch()
    for step, value in enumerate([1.0, 2.0, 3.0, 4.0]):
        watch.record(step, step % 2 == 0, {"identity": torch.tensor(value)})
    assert watch.means() == {"loss/identity_same": 2.0, "loss/identity_different": 3.0}
    assert watch.means() == {}


def test_frozen_batch_norms_keep_their_statistics_and_train_their_weights(frozen):
    run = Run(frozen)
    run.step(0, pairs(same=True))
    norms = [m for m in run.networks.plain_generator.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [(norm.running_mean.clone(), norm.weight.clone()) for norm in norms]
    run.networks.freeze_batch_norms()
    run.step(2, pairs(same=True, seed=1))
    for norm, (mean, weight) in zip(norms, before, strict=True):
        assert torch.equal(norm.running_mean, mean)
        assert not torch.equal(norm.weight, weight)


def test_with_frozen_batch_norms_a_crop_is_swapped_alike_in_any_batch(frozen):
    run = Run(frozen)
    run.networks.freeze_batch_norms()
    batch = pairs(same=True)
    embeddings = frozen.embed_sources(batch.sources, batch.targets)
    generator = run.networks.plain_generator
    with torch.inference_mode():
        torch.testing.assert_close(
            generator(batch.targets, embeddings)[:1],
            generator(batch.targets[:1], embeddings[:1]),
        )
