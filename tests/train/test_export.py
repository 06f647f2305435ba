import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from simswap.weights import bundle
from simswap.weights.bundle import Alignment, load_bundle
from tests.support.weights.tiny_bundle import make_bundle
from train.errors import TrainingError
from train.export import main
from train.publish.bundle import write_bundle

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TRAINING = {"num_steps": 12, "weights": {"identity": 10.0}}


def parts_of(seed: int = 1) -> dict[str, object]:
    """Arguments of write_bundle: another generator than the base's."""
    return {
        "generator": make_bundle(seed).generator,
        "base": make_bundle(0),
        "alignment": Alignment(crop_size=16),
        "training": TRAINING,
        "licence": "Research use only.",
        "card": f"# Seed {seed}\n",
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_same_weights(found: torch.nn.Module, expected: torch.nn.Module) -> None:
    expected = expected.state_dict()
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-3, rtol=1e-3)  # stored as float16


@pytest.fixture
def weights_run(tmp_path: Path) -> Path:
    """The folder of a run that left only weights."""
    run, plain = make_bundle(1).generator, make_bundle(2).generator
    folder = tmp_path / "weights-run"
    folder.mkdir()
    save_file(run.state_dict(), folder / "generator.safetensors")
    save_file(plain.state_dict(), folder / "generator_plain.safetensors")
    settings = {"generator": asdict(run.config), "crop_template": "ffhq", "crop_size": 32}
    settings |= {"teachers": ["models/edgeface_xs.pt"], "num_steps": 12, "seed": 7}
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def bundle_run(tmp_path: Path) -> Path:
    """The folder of a run as the trainer leaves it."""
    folder = tmp_path / "bundle-run"
    (folder / "checkpoints").mkdir(parents=True)
    write_bundle(folder / "bundle", **parts_of(), name="mine", samples=b"a picture")
    return folder


def run_main(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_written_bundle_loads_with_the_new_generator_and_the_base_networks(tmp_path):
    parts = parts_of()
    write_bundle(tmp_path / "mine", **parts, samples=b"a picture")
    loaded = load_bundle(tmp_path / "mine")
    assert loaded.name == "mine"
    assert loaded.config.alignment == parts["alignment"]
    assert loaded.config.training == TRAINING
    assert loaded.config.licence == "Research use only."
    assert (tmp_path / "mine" / "README.md").read_text() == "# Seed 1\n"
    assert (tmp_path / "mine" / "samples.png").read_bytes() == b"a picture"
    assert_same_weights(loaded.generator, parts["generator"])
    assert_same_weights(loaded.identity_network, parts["base"].identity_network)
    assert_same_weights(loaded.detector, parts["base"].detector)


def test_the_bundled_networks_are_written_byte_for_byte(tmp_path):
    write_bundle(tmp_path / "mine", **{**parts_of(), "base": load_bundle()})
    for part in ("identity", "detector"):
        name = f"{part}.safetensors"
        assert (tmp_path / "mine" / name).read_bytes() == (
            bundle.DEFAULT_BUNDLE / name
        ).read_bytes()


def test_a_second_bundle_replaces_the_first_and_leaves_nothing_beside_it(tmp_path):
    write_bundle(tmp_path / "mine", **parts_of(1), samples=b"a picture")
    write_bundle(tmp_path / "mine", **parts_of(2))
    assert (tmp_path / "mine" / "README.md").read_text() == "# Seed 2\n"
    assert not (tmp_path / "mine" / "samples.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_files_that_belong_to_no_bundle_stay(tmp_path):
    write_bundle(tmp_path / "mine", **parts_of(1))
    (tmp_path / "mine" / ".git").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    write_bundle(tmp_path / "mine", **parts_of(2))
    assert (tmp_path / "mine" / ".git").is_dir()
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"
    assert load_bundle(tmp_path / "mine")


def test_a_link_to_a_bundle_stays_a_link(tmp_path):
    write_bundle(tmp_path / "there", **parts_of(1))
    (tmp_path / "link").symlink_to("there")
    write_bundle(tmp_path / "link", **parts_of(2))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "README.md").read_text() == "# Seed 2\n"


@pytest.mark.parametrize("failing", ["identity.safetensors", "README.md", "config.json"])
def test_a_full_disk_leaves_the_old_bundle(tmp_path, monkeypatch, failing):
    write_bundle(tmp_path / "mine", **parts_of(1))
    before = contents(tmp_path / "mine")
    write = bundle.write_whole

    def run_full(path: Path, content: bytes) -> None:
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(bundle, "write_whole", run_full)
    with pytest.raises(TrainingError, match=r"No space left on device.*Free some disk space"):
        write_bundle(tmp_path / "mine", **parts_of(2))
    assert contents(tmp_path / "mine") == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("num_renames", [1, 2])
def test_a_kill_while_replacing_is_mended_by_the_next_export(tmp_path, monkeypatch, num_renames):
    """After one rename the folder is gone, after two the previous one lies beside it."""
    write_bundle(tmp_path / "mine", **parts_of(1))
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    rename, done = Path.rename, []

    def rename_until_killed(path: Path, target: Path) -> Path:
        if len(done) == num_renames:
            raise KeyboardInterrupt
        done.append(path)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_until_killed)
    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "mine", **parts_of(2))
    monkeypatch.undo()
    write_bundle(tmp_path / "mine", **parts_of(3))
    assert (tmp_path / "mine" / "README.md").read_text() == "# Seed 3\n"
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep me"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_one_stands_in_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    with pytest.raises(TrainingError, match="from outside"):
        write_bundle(Path(), **parts_of())


def test_the_command_exports_the_trainers_bundle_under_another_name(bundle_run, tmp_path, capsys):
    assert run_main("--run", bundle_run, "--output", tmp_path / "out") == 0
    expected, found = contents(bundle_run / "bundle"), contents(tmp_path / "out")
    assert found.pop("config.json") != expected.pop("config.json")
    assert found == expected
    loaded = load_bundle(tmp_path / "out").config
    assert loaded == replace(load_bundle(bundle_run / "bundle").config, name="out")
    assert f"Wrote {tmp_path / 'out'}" in capsys.readouterr().out


def test_the_command_takes_a_name_and_a_card(bundle_run, tmp_path):
    (tmp_path / "card.md").write_text("# Another\n")
    options = ("--name", "other", "--card", tmp_path / "card.md")
    assert run_main("--run", bundle_run, "--output", tmp_path / "out", *options) == 0
    assert load_bundle(tmp_path / "out").name == "other"
    assert (tmp_path / "out" / "README.md").read_text() == "# Another\n"


@pytest.mark.parametrize(("flags", "seed"), [((), 1), (("--plain",), 2)])
def test_the_command_makes_a_bundle_of_a_run_with_weights_only(weights_run, tmp_path, flags, seed):
    assert run_main("--run", weights_run, "--output", tmp_path / "out", *flags) == 0
    loaded = load_bundle(tmp_path / "out")
    assert_same_weights(loaded.generator, make_bundle(seed).generator)
    assert_same_weights(loaded.detector, load_bundle().detector)
    assert loaded.config.alignment == Alignment("ffhq", 32)
    assert loaded.config.training == {"num_steps": 12, "seed": 7, "teachers": ["edgeface_xs"]}
    assert "- Steps: 12" in (tmp_path / "out" / "README.md").read_text()


def test_networks_and_card_already_in_the_output_folder_are_taken(weights_run, tmp_path):
    base = make_bundle(5)
    bundle.save_bundle(base, tmp_path / "out", "# Written by hand\n")
    (tmp_path / "out" / "generator.safetensors").unlink()
    assert run_main("--run", weights_run, "--output", tmp_path / "out") == 0
    loaded = load_bundle(tmp_path / "out")
    assert_same_weights(loaded.generator, make_bundle(1).generator)
    assert_same_weights(loaded.identity_network, base.identity_network)
    assert (tmp_path / "out" / "README.md").read_text() == "# Written by hand\n"


def test_a_network_distilled_after_its_config_is_taken(bundle_run, tmp_path):
    bundle.save_bundle(make_bundle(5), tmp_path / "networks", "# Networks\n")
    newer = make_bundle(6).identity_network
    save_file(newer.state_dict(), tmp_path / "networks" / "identity.safetensors")
    options = ("--networks", tmp_path / "networks")
    assert run_main("--run", bundle_run, "--output", tmp_path / "out", *options) == 0
    assert_same_weights(load_bundle(tmp_path / "out").identity_network, newer)


MISTAKES = {
    "no run": (lambda run: (run / "config.json").unlink(), "is no run"),
    "no weights": (
        lambda run: (run / "generator.safetensors").unlink(),
        "generator.safetensors cannot be read",
    ),
    "a damaged config": (
        lambda run: (run / "config.json").write_text("{"),
        "does not describe a run",
    ),
    "a config of something else": (
        lambda run: (run / "config.json").write_text("[]"),
        "does not describe a run",
    ),
    "weights of another network": (
        lambda run: save_file({"a": torch.zeros(1)}, run / "generator.safetensors"),
        "weights of another network",
    ),
    "weights that are none": (
        lambda run: (run / "generator.safetensors").write_bytes(b"hello" * 99),
        "generator.safetensors cannot be read",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_1(weights_run, tmp_path, capsys, mistake):
    inflict, message = MISTAKES[mistake]
    inflict(weights_run)
    assert run_main("--run", weights_run, "--output", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_plain_weights_come_from_the_last_checkpoint(bundle_run, tmp_path):
    for step, seed in ((20, 2), (100, 3)):
        accelerator = Accelerator(cpu=True)
        accelerator.prepare(make_bundle(seed).generator)
        accelerator.save_state(str(bundle_run / "checkpoints" / f"step_{step:08d}"))
    assert run_main("--run", bundle_run, "--output", tmp_path / "out", "--plain") == 0
    assert_same_weights(load_bundle(tmp_path / "out").generator, make_bundle(3).generator)


def test_a_run_without_a_checkpoint_has_no_plain_weights(bundle_run, tmp_path, capsys):
    assert run_main("--run", bundle_run, "--output", tmp_path / "out", "--plain") == 1
    assert "has no checkpoint" in capsys.readouterr().err


def test_a_file_that_cannot_grow_ends_the_real_command_and_spares_the_bundle(bundle_run, tmp_path):
    """The kernel refuses to write more than 100 blocks into one file, as a full disk would."""
    write_bundle(tmp_path / "out", **parts_of(2))
    before = contents(tmp_path / "out")
    command = f"ulimit -f 100; exec {sys.executable} -m train.export"
    command += f" --run {bundle_run} --output {tmp_path / 'out'}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("train.export: The bundle")
    assert contents(tmp_path / "out") == before


def test_an_unknown_flag_is_exit_code_2():
    with pytest.raises(SystemExit) as ended:
        main(["--run", "a", "--output", "b", "--no-such-flag"])
    assert ended.value.code == 2
