import json
import pickle
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simswap import ModelError
from simswap.models.facial_hair import FacialHair, FacialHairConfig
from simswap.models.parser import FaceParser, ParserConfig
from simswap.weights import bundle
from simswap.weights.bundle import (
    CONFIG_FILE,
    OPTIONAL_FILES,
    WEIGHT_FILES,
    load_bundle,
    save_bundle,
)


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / CONFIG_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def swap_weights(folder: Path, part: str, content: bytes) -> None:
    """Other content under a checksum that is right: damage that only the format can show."""
    path = folder / WEIGHT_FILES[part]
    path.write_bytes(content)
    stored = json.loads((folder / CONFIG_FILE).read_text())
    edit_config(folder, sha256={**stored["sha256"], path.name: bundle.sha256_of(path)})


def flip_a_byte(folder: Path) -> None:
    path = folder / "identity.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(folder: Path) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def widen_generator(folder: Path) -> None:
    stored = json.loads((folder / CONFIG_FILE).read_text())["generator"]
    edit_config(folder, generator={**stored, "channels": [8, 16]})


DAMAGES = {
    "no config": (lambda f: (f / CONFIG_FILE).unlink(), "it has no config.json"),
    "config is no JSON": (lambda f: (f / CONFIG_FILE).write_text("{"), "config.json is damaged"),
    "config is a list": (lambda f: (f / CONFIG_FILE).write_text("[]"), "has format None"),
    "a later format": (lambda f: edit_config(f, format="simswap-bundle-9"), "simswap-bundle-9"),
    "no detector entry": (
        lambda f: (f / CONFIG_FILE).write_text(
            (f / CONFIG_FILE).read_text().replace('"detector"', '"sensor"')
        ),
        "config.json lacks 'detector'",
    ),
    "an unknown network": (
        lambda f: edit_config(f, identity={"architecture": "transformer"}),
        "'transformer'",
    ),
    "an unknown setting": (lambda f: edit_config(f, detector={"depth": 3}), "'depth'"),
    "settings that are no object": (lambda f: edit_config(f, detector=3), "does not know"),
    "an unknown template": (
        lambda f: edit_config(f, alignment={"crop_template": "side"}),
        "'side'",
    ),
    "an odd crop size": (lambda f: edit_config(f, alignment={"crop_size": 33}), "crop_size=33"),
    "no checksum": (lambda f: edit_config(f, sha256={}), "generator.safetensors has no sha256"),
    "checksums that are no object": (lambda f: edit_config(f, sha256=7), "has no sha256"),
    "a missing file": (
        lambda f: (f / "detector.safetensors").unlink(),
        "detector.safetensors is missing",
    ),
    "a truncated file": (truncate, "generator.safetensors is damaged"),
    "one flipped bit": (flip_a_byte, "identity.safetensors is damaged"),
    "not safetensors": (
        lambda f: swap_weights(f, "generator", b"hello" * 99),
        "generator.safetensors is not a safetensors file",
    ),
    "weights of another size": (widen_generator, "generator.safetensors does not fit"),
}


def test_a_saved_bundle_loads_with_the_same_config_and_weights(tiny_bundle, tiny_folder):
    loaded = load_bundle(tiny_folder)
    assert loaded.config == tiny_bundle.config
    for part in ("generator", "identity_network", "detector"):
        expected = getattr(tiny_bundle, part).state_dict()
        found = getattr(loaded, part).state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected)
        assert not getattr(loaded, part).training


def test_a_parser_is_part_of_a_bundle_that_has_one(tiny_bundle, tmp_path):
    config = ParserConfig(channels=(4, 6))
    parser = FaceParser(config).eval()
    whole = replace(tiny_bundle, config=replace(tiny_bundle.config, parser=config), parser=parser)
    save_bundle(whole, tmp_path, "")
    loaded = load_bundle(tmp_path)
    assert loaded.config.parser == config
    torch.testing.assert_close(loaded.parser.head.weight, parser.head.weight.half().float())
    (tmp_path / OPTIONAL_FILES["parser"]).unlink()
    with pytest.raises(ModelError, match=r"parser.safetensors is missing"):
        load_bundle(tmp_path)


def test_facial_hair_is_part_of_a_bundle_that_has_it(tiny_bundle, tmp_path):
    hair = FacialHair(FacialHairConfig(tiny_bundle.config.identity.embedding_size))
    hair.direction += 0.25
    config = replace(tiny_bundle.config, facial_hair=hair.config)
    save_bundle(replace(tiny_bundle, config=config, facial_hair=hair), tmp_path, "")
    loaded = load_bundle(tmp_path)
    assert loaded.config.facial_hair == hair.config
    assert torch.equal(loaded.facial_hair.direction, hair.direction)
    edit_config(tmp_path, facial_hair={"embedding_size": 8})
    with pytest.raises(ModelError, match="facial hair is told from 8 numbers, the identity"):
        load_bundle(tmp_path)


def test_a_parser_of_crops_that_are_aligned_otherwise_is_refused(tiny_folder):
    alignment = {"crop_template": "ffhq", "crop_size": 32}
    edit_config(tiny_folder, parser={"channels": [4, 6]}, alignment=alignment)
    with pytest.raises(ModelError, match="parser knows crops aligned to"):
        load_bundle(tiny_folder)


def test_half_storage_halves_the_file_and_loads_as_float32(tiny_bundle, tiny_folder, tmp_path):
    save_bundle(tiny_bundle, tmp_path / "half", "# Half\n")
    name = "identity.safetensors"
    full, half = ((tmp_path / folder / name).stat().st_size for folder in ("tiny", "half"))
    assert half < 0.55 * full
    loaded = load_bundle(tmp_path / "half").identity_network.state_dict()
    for key, weights in tiny_bundle.identity_network.state_dict().items():
        assert loaded[key].dtype == weights.dtype
        torch.testing.assert_close(loaded[key], weights, atol=1e-3, rtol=1e-3)


def test_a_value_too_large_for_float16_is_stored_in_full():
    weights = torch.tensor([1e6, 1.0])
    assert torch.equal(bundle._stored(weights, half=True), weights)


def test_saving_over_a_bundle_leaves_no_other_files(tiny_bundle, tiny_folder):
    save_bundle(tiny_bundle, tiny_folder, "# Again\n")
    expected = {CONFIG_FILE, "README.md", *WEIGHT_FILES.values()}
    assert {path.name for path in tiny_folder.iterdir()} == expected
    assert load_bundle(tiny_folder).name == "tiny"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_bundle_is_refused_naming_what_is_wrong(tiny_folder, damage):
    inflict, message = DAMAGES[damage]
    inflict(tiny_folder)
    with pytest.raises(ModelError, match=re.escape(message)):
        load_bundle(tiny_folder)


def test_a_pickle_is_never_executed(tiny_folder, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    swap_weights(tiny_folder, "generator", pickle.dumps(Trap()))
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_bundle(tiny_folder)
    assert not (tmp_path / "executed").exists()


def test_a_missing_bundled_model_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "DEFAULT_BUNDLE", tmp_path / "nowhere")
    with pytest.raises(ModelError, match="nowhere"):
        load_bundle()


@pytest.mark.parametrize("source", ["/no/such/folder", "no-such-model", Path("no/folder")])
def test_a_source_that_is_neither_folder_nor_repo_is_named(source):
    with pytest.raises(ModelError, match=re.escape(f"{source} is neither a model folder")):
        load_bundle(source)


def test_a_revision_of_a_local_folder_is_refused(tiny_folder):
    with pytest.raises(ModelError, match="revision='v2'"):
        load_bundle(tiny_folder, revision="v2")


def test_a_hub_repo_without_a_network_is_a_model_error(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"nobody/no-model.*\(revision main\)"):
        load_bundle("nobody/no-model")
