"""Official weights to bundle: variants, parity, round trips, mistakes, alignment."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from simswap import FaceSwapper, ModelError
from simswap.__main__ import main
from simswap.errors import OptionError
from simswap.models.generator import Generator, GeneratorConfig
from simswap.swap.rendering import AlignedFace, generate
from simswap.weights.bundle import load_bundle, read_config
from simswap.weights.convert import convert
from simswap.weights.official import VARIANTS, recognise_generator, recognise_identity
from simswap.weights.onnx.identity import read_onnx_identity
from tests.support.weights.arcface_onnx import save_iresnet
from tests.support.weights.official_weights import (
    BASES,
    DATA,
    NARROW_VARIANTS,
    know_narrow_networks,
    official_state,
    save_whole_module,
)

# What convert is told, and the crop size and alignment that it must find.
CASES = {
    "official_224": ({}, 224, "simswap_224"),
    "official_512": ({}, 512, "ffhq"),
    "trainer_224": ({"maker": "trainer"}, 224, "simswap_224"),
    "trainer_512": ({}, 512, "ffhq"),
}


def meta_state(config: GeneratorConfig) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return Generator(config).state_dict()


@pytest.fixture(scope="module")
def identity_file(tmp_path_factory) -> Path:
    """A whole pickled module whose class is gone, as the published file is."""
    path = tmp_path_factory.mktemp("identity") / "arcface_checkpoint.tar"
    save_whole_module(official_state("arcface_ir_se_18"), path)
    return path


@pytest.fixture(scope="module")
def converted(tmp_path_factory, identity_file) -> Callable[[str], Path]:
    """Gives the bundle made of a variant's stand-in; each is made once."""

    @cache
    def bundle_of(variant: str) -> Path:
        options, _, _ = CASES[variant]
        folder = tmp_path_factory.mktemp("converted")
        torch.save(official_state(variant), folder / "a.file")
        convert(folder / "a.file", identity_file, folder / "model", **options)
        return folder / "model"

    return bundle_of


@pytest.fixture(scope="module")
def swapper_224(converted) -> FaceSwapper:
    """By torch: to compile what two photos pass through costs more than they do."""
    return FaceSwapper.from_pretrained(converted("official_224"), device="cpu", runtime="torch")


def fixture_inputs(variant: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.RandomState(BASES[variant] + 9000)
    images = torch.from_numpy(random.rand(2, 3, size, size).astype(np.float32))
    embeddings = random.standard_normal((2, 512)).astype(np.float32)
    return images, torch.from_numpy(embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


@pytest.mark.slow
@pytest.mark.parametrize("variant", CASES)
def test_a_converted_network_keeps_every_bit_and_the_official_output(converted, variant):
    _, size, template = CASES[variant]
    folder, state = converted(variant), official_state(variant)
    stored = load_file(folder / "generator.safetensors")
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[key], state[key]) for key in state)
    bundle = load_bundle(folder)
    alignment = bundle.config.alignment
    assert (alignment.crop_size, alignment.crop_template) == (size, template)
    assert alignment.identity_template == template
    images, embeddings = (values[:1] for values in fixture_inputs(variant, size))
    expected = torch.from_numpy(np.load(DATA / "expected.npz")[variant][:1])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    with torch.inference_mode():
        if bundle.config.generator.pixel_range == "unit":
            output = bundle.generator(images, embeddings)
        else:  # its fixture was fed the normalised pixels themselves, and gives such
            output = bundle.generator(images * std + mean, embeddings)
            expected = (expected * std + mean).clamp(0, 1)
    torch.testing.assert_close(output[:, :, ::8, ::8], expected, atol=1e-4, rtol=0)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.slow
def test_a_converted_identity_network_keeps_every_bit_and_the_official_output(converted):
    folder, state = converted("official_224"), official_state("arcface_ir_se_18")
    stored = load_file(folder / "identity.safetensors")
    assert all(torch.equal(stored[key], state[key]) for key in state)
    assert stored.keys() == state.keys()
    random = np.random.RandomState(BASES["arcface_ir_se_18"] + 9000)
    crops = torch.from_numpy(random.standard_normal((2, 3, 112, 112)).astype(np.float32))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    with torch.inference_mode():
        output = load_bundle(folder).identity_network(crops * std + mean)
    expected = torch.from_numpy(np.load(DATA / "expected.npz")["arcface_ir_se_18"])
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_frame_reaches_the_network_as_rgb_in_unit_range(swapper_224):
    """The fixtures' input as uint8 crops gives the fixtures' output, up to the bytes' rounding."""
    images, embeddings = (values[:1] for values in fixture_inputs("official_224", 224))
    crops = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    aligned = [AlignedFace(crop, np.eye(2, 3), np.zeros((5, 2))) for crop in crops]
    generator = swapper_224.running.generator
    swapped = generate(generator, aligned, embeddings.numpy())
    expected = np.load(DATA / "expected.npz")["official_224"][:1].transpose(0, 2, 3, 1)
    difference = np.abs(swapped[:, ::8, ::8] - expected)
    assert difference.mean() < {"float32": 2e-3, "bfloat16": 6e-3}[generator.precision]
    assert np.abs(swapped[:, ::8, ::8, ::-1] - expected).mean() > 10 * difference.mean()


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.called)
def test_a_variant_is_told_by_keys_and_shapes(variant):
    found = recognise_generator(meta_state(variant.generator))
    assert found.called == f"{variant.called} ({variant.makers[0]})"
    assert (found.generator.channels, found.crop_size) == (
        variant.generator.channels,
        variant.crop_size,
    )
    assert bool(found.notice) == (len(variant.makers) > 1)


def test_the_trainers_224_network_is_told_by_the_option_alone():
    found = recognise_generator(meta_state(GeneratorConfig()), "trainer")
    assert (found.generator.pixel_range, found.notice) == ("imagenet", "")


def test_a_shallow_network_trained_at_512_aligns_as_512():
    found = recognise_generator(meta_state(GeneratorConfig()), "trainer", 512)
    assert (found.crop_size, found.template) == (512, "ffhq")


@pytest.mark.parametrize(
    ("maker", "size", "said"),
    [(None, 512, "--size says 512"), ("published", 512, "crops are 224 px")],
)
def test_a_size_that_contradicts_the_file_is_refused(maker, size, said):
    with pytest.raises(OptionError, match=said):
        recognise_generator(meta_state(GeneratorConfig()), maker, size)


def test_a_maker_that_contradicts_the_file_is_refused():
    beta = GeneratorConfig(channels=(32, 64, 128, 256, 512), first_level=0)
    with pytest.raises(OptionError, match="published 512 beta, but --maker says trainer"):
        recognise_generator(meta_state(beta), "trainer")


def test_every_key_that_does_not_fit_is_named():
    state = meta_state(GeneratorConfig())
    state["extra.weight"] = state.pop("up2.1.bias")
    del state["BottleNeck.4.style1.linear.bias"]
    state["down1.0.weight"] = torch.empty(100, 64, 3, 3, device="meta")
    with pytest.raises(ModelError) as error:
        recognise_generator(state)
    for part in (
        "up2.1.bias is missing",
        "BottleNeck.4.style1.linear.bias is missing",
        "extra.weight matches nothing",
        "down1.0.weight is [100, 64, 3, 3] instead of [128, 64, 3, 3]",
    ):
        assert part in str(error.value)


def test_every_identity_key_that_does_not_fit_is_named():
    state = official_state("arcface_ir_se_18")
    del state["layer2.1.se.fc.0.bias"]
    state["head.weight"] = torch.zeros(1)
    with pytest.raises(ModelError, match=r"fc\.0\.bias is missing; head\.weight matches nothing"):
        recognise_identity(state)


def test_counters_of_old_torch_versions_may_be_missing():
    state = official_state("arcface_ir_se_18")
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert recognise_identity(old).blocks == (2, 2, 2, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generator", "identity", "said"),
    [
        ("arcface", "arcface", "it is an ArcFace network, which belongs to --identity"),
        ("generator", "generator", "it is a SimSwap generator, which belongs to --generator"),
        ("photo", "arcface", "not one of torch.save or safetensors"),
        ("page", "arcface", "is a web page, not weights"),
        ("cut", "arcface", "is cut short or damaged"),
        ("other", "arcface", "none of its 1 tensors fits"),
        ("nan", "arcface", "not finite"),
        ("missing", "arcface", "is not there"),
    ],
)
def test_a_wrong_file_gets_one_sentence_and_no_folder(
    tmp_path, identity_file, monkeypatch, capfd, generator, identity, said
):
    know_narrow_networks(monkeypatch)
    files = {name: tmp_path / name for name in ("photo", "page", "cut", "other", "missing")}
    files |= {"arcface": identity_file, "generator": tmp_path / "generator.safetensors"}
    files["nan"] = tmp_path / "nan.safetensors"
    state = {
        key: torch.zeros(value.shape, dtype=value.dtype)
        for key, value in meta_state(NARROW_VARIANTS[0].generator).items()
    }
    if "generator" in (generator, identity):
        save_file(state, files["generator"])
    if generator == "nan":
        state["last_layer.1.bias"][1] = torch.nan
        save_file(state, files["nan"])
    files["photo"].write_bytes(b"\xff\xd8\xff\xe0 JFIF" * 9)
    files["page"].write_bytes(b"<!DOCTYPE html><title>Sign in</title>")
    files["cut"].write_bytes(identity_file.read_bytes()[:-1000])
    torch.save({"w": torch.zeros(2)}, files["other"])
    output = tmp_path / "model"
    command = ["convert", "--generator", files[generator], "--identity", files[identity]]
    assert main([*map(str, command), "--output", str(output)]) == 1
    told = capfd.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not output.exists()


@pytest.mark.slow
def test_an_arcface_of_onnx_is_taken_for_a_generator_that_was_trained_with_it(
    tmp_path, monkeypatch
):
    pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    know_narrow_networks(monkeypatch)
    torch.save(Generator(NARROW_VARIANTS[0].generator).state_dict(), tmp_path / "my_net_G.pth")
    arcface = save_iresnet(tmp_path / "w600k_r50.onnx")
    done = convert(tmp_path / "my_net_G.pth", arcface, tmp_path / "model", maker="trainer")
    assert "trained with this very network" in done.notices[0]
    alignment = read_config(tmp_path / "model").alignment
    assert (alignment.crop_template, alignment.identity_template) == ("simswap_224", "arcface")
    config, state = read_onnx_identity(arcface)
    assert read_config(tmp_path / "model").identity == config
    stored = load_file(tmp_path / "model" / "identity.safetensors")
    assert all(torch.equal(stored[key], state[key]) for key in state)


def test_a_folder_with_other_things_is_not_written_into(tmp_path, identity_file):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OptionError, match="holds other files"):
        convert(identity_file, identity_file, tmp_path)


@pytest.mark.slow
def test_the_command_converts_and_the_bundle_swaps(tmp_path, identity_file, monkeypatch, capfd):
    know_narrow_networks(monkeypatch)
    generator, output = tmp_path / "renamed.tar", tmp_path / "mine"
    state = Generator(NARROW_VARIANTS[0].generator).state_dict()
    save_file({f"module.{key}": value for key, value in state.items()}, generator)
    command = ["convert", "--generator", generator, "--identity", identity_file]
    command += ["--output", output, "--licence", "For tests."]
    assert main([str(part) for part in command]) == 0
    said = capfd.readouterr()
    assert said.out.strip() == str(output)
    assert "say --maker trainer" in said.err
    assert read_config(output).licence == "For tests."
    photo = Path(__file__).parents[2] / "assets" / "examples" / "astronaut.jpg"
    swap = ["image", "--source", photo, "--target", photo, "--output", tmp_path / "out.png"]
    assert main([*map(str, swap), "--model", str(output)]) == 0
    assert (tmp_path / "out.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_network_of_the_published_size_swaps_the_face_and_nothing_else(swapper_224, astronaut):
    result = swapper_224.swap_image(astronaut, swapper_224.identity_of(astronaut))
    changed = (result.image != astronaut).any(axis=2)
    x0, y0, x1, y1 = result.faces[0].box
    rows, columns = np.nonzero(changed)
    grown = np.array([x1 - x0, y1 - y0]) * 0.5
    assert changed[int(y0 + y1) // 2, int(x0 + x1) // 2]
    assert ([columns.min(), rows.min()] > np.array([x0, y0]) - grown).all()
    assert ([columns.max(), rows.max()] < np.array([x1, y1]) + grown).all()
