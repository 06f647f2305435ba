"""Settings from presets, files and the command line, all through one dataclass."""

import re
from dataclasses import replace

import pytest

pytest.importorskip("tyro", reason="needs the train extra")

from train.command_line import PRESETS, parse_config
from train.config import TrainConfig
from train.errors import TrainingError
from train.loss_weights import Ramp

NEEDED = ["--data", "user/faces", "--teachers", "teacher.pt"]


def parse(*flags: str) -> TrainConfig:
    return parse_config([*NEEDED, *flags])


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_is_a_valid_configuration(name):
    assert parse("--config", name).name.startswith("simswap")


def test_the_papers_preset_has_its_losses_and_no_augmentation():
    config = parse("--config", "simswap-224", "--weights.identity", "20")
    weights = config.weights
    assert [weights.identity.at(step) for step in (0, 1, 400000)] == [20, 20, 20]
    assert weights.reconstruction.at(7) == weights.feature_matching == 10
    ours = {weights.low_frequency, weights.colour, weights.restraint, weights.edges}
    assert ours == {0}
    augmentation = config.augmentation
    assert not augmentation.changes_pictures
    kept = ("mirror", "shift", "scale", "roll", "gain", "channel_gain")
    assert {getattr(augmentation, name) for name in kept} == {0}


def test_the_smoke_preset_needs_nothing_else():
    assert parse_config(["--config", "smoke"]).data == "examples"


def test_no_further_argument_gives_the_defaults():
    assert parse() == TrainConfig(data="user/faces", teachers=("teacher.pt",))


@pytest.mark.parametrize("missing", ["--data", "--teachers"])
def test_what_only_the_user_can_know_is_asked_for(missing, capsys):
    number = NEEDED.index(missing)
    with pytest.raises(SystemExit, match="2"):
        parse_config(NEEDED[:number] + NEEDED[number + 2 :])
    assert missing in capsys.readouterr().err


def test_help_explains_every_setting(capsys):
    with pytest.raises(SystemExit, match="0"):
        parse_config(["--help"])
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    starts = [number for number, line in enumerate(lines) if re.match("--[a-z]", line)]
    assert len(starts) > 100
    for number in starts:
        text = lines[number + 1]
        assert text, lines[number]
        assert not text.startswith(("(default", "(required", "--")), lines[number]


def test_the_config_of_a_run_repeats_it(tmp_path):
    flags = (
        "--weights.colour",
        "2",
        "--data-weights",
        "1,2",
        "--data",
        "a,b",
        "--no-channels-last",
    )
    config = parse("--config", "simswap-512", *flags)
    path = tmp_path / "config.json"
    path.write_text(replace(config, resume="latest").to_json())
    assert parse_config(["--config", str(path)]) == config
    assert parse_config(["--config", str(path), "--seed", "9"]) == replace(config, seed=9)


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "7", '{"seed": 1'])
def test_a_config_that_is_none_of_a_run_is_told(tmp_path, text):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(TrainingError, match=r"config\.json cannot be read"):
        parse_config(["--config", str(path)])


def test_the_command_line_overrides_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("batch_size = 3\nseed = 5\n[weights]\nadversarial = 7.0\n")
    config = parse("--config", str(path), "--seed", "9")
    assert (config.batch_size, config.seed, config.weights.adversarial) == (3, 9, 7.0)


def test_nested_settings_are_flags_with_dots():
    flags = ["--generator.channels", "8,16", "--weights.identity.start", "3"]
    config = parse(*flags, "--discriminator.width=4")
    assert config.generator.channels == (8, 16)
    assert config.weights.identity.start == 3
    assert config.discriminator.width == 4


def test_a_mixture_is_two_flags():
    config = parse("--data", "a,b", "--data-weights", "0.5,2", "--augmentation.grey=0.1")
    assert config.data_weights == (0.5, 2.0)
    assert config.augmentation.grey == 0.1


def test_a_ramp_may_be_one_number(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[weights]\nidentity = 10\n")
    assert parse("--config", str(path)).weights.identity == Ramp(10, 10, 0, 0)
    for flags in (("--weights.identity", "15"), ("--weights.identity=15",)):
        assert parse("--config", str(path), *flags).weights.identity == Ramp(15, 15, 0, 0)
    flags = ("--weights.identity.end", "30", "--weights.identity.to-step", "9")
    assert parse("--config", str(path), *flags).weights.identity == Ramp(10, 30, 0, 9)


def test_resume_alone_means_the_latest_checkpoint():
    assert parse("--resume").resume == "latest"
    assert parse("--resume", "--seed", "3").resume == "latest"
    assert parse("--resume", "runs/mine/checkpoints/step_00000005").resume.endswith("5")


def test_a_switch_can_be_turned_off():
    assert parse("--no-channels-last").channels_last is False
    assert parse("--no-generator.gated-skips").generator.gated_skips is False
    assert parse("--generator.no-gated-skips").generator.gated_skips is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch_size = 0", "batch_size=0 must be at least 1"),
        ("learning_rate = -1.0", "learning_rate=-1.0 must be above 0"),
        ("identity_exponent = 0.5", "identity_exponent=0.5 must be at least 1"),
        ("decay_from = 2", "decay_from=2.0 must lie in"),
        ("crop_size = 100", "crop_size=100 must be a multiple of 8"),
        ("crop_template = 'passport'", "crop_template='passport'"),
        ("adam_betas = [0.9]", "must be two numbers"),
        ("push_to_hub = true", "push_to_hub needs --hub-model-id"),
        ("eval_data = 'x'", "eval_data needs --judge"),
        ("crop_template = 'simswap_224'", "for both crops or for none"),
        ("identity_template = 'passport'", "identity_template='passport'"),
        ("generator_from = 9", "discriminator_from must be 0"),
        ("[discriminator]\nwidth = 0", "must be at least 1"),
        ("feature_matching_layers = [3, 4]", "layers 0 to 3"),
        ("crop_size = 16\n[discriminator]\nnum_halvings = 5", "too small for these discr"),
        (
            "crop_size = 128\n[discriminator]\nbackbone = 'x'\n[weights]\ngradient_penalty = 1.0",
            "knows no weights.gradient_penalty",
        ),
        ("feature_matching_layers = []", "name at least one"),
        ("[weights.identity]\nstart = 5.0\nto_step = 0\nfrom_step = 0", "--weights.identity 15"),
        ("data_weights = [1.0]", "one weight for each of the 2 data sets"),
        ("data_weights = [1.0, -1.0]", "none below 0"),
        ("data_weights = [0.0, 0.0]", "one at least above"),
        ("source_weights = [1.0, 1.0]", "source_weights needs --data-weights"),
        ("swapped_back = 0.7\npasted = 0.5", "together at most 1"),
        ("cache_photos = true\npasted = 0.5", "cache_photos knows no pasted"),
        ("cache_photos = true\n[augmentation]\ngrey = 0.1", "cache_photos knows neither"),
        ("[augmentation]\ngrey = 2.0", "augmentation.grey=2.0 must lie in"),
        ("glasses_emphasis = -1.0", "must be at least 0"),
        ("batch_size =", "mine.toml cannot be read"),
        ("seed = " + "[" * 100_000, "mine.toml cannot be read: it nests without end"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_the_remedy(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        parse_config(["--data", "a,b", "--teachers", "c", "--config", str(path)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 3", "--batch-size"),
        ("[weights]\nidentiy = 3", "--weights.identity"),
        ("weights = 3", "--weights"),
        ("batch_size = 'many'", "--batch-size: .*'many'"),
        ("batch_size = 2.5", "--batch-size: .*'2.5'"),
        ("compile = 'yes'", "yes"),
        ("mixed_precision = 'bf8'", "'auto', 'no', 'bf16', 'fp16'"),
        ("adam_betas = ['few']", "--adam-betas: .*'few'"),
        ("[generator]\nnum_blocks = 0", "num_blocks=0"),
    ],
)
def test_a_setting_of_the_wrong_name_or_kind_is_named_on_stderr(tmp_path, capsys, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SystemExit, match="2"):
        parse("--config", str(path))
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "simswap-244"], "Did you mean simswap-224"),
        (["--weights.identity.to-step", "1"], "to_step=1 lies before from_step"),
        (["--teachers", ""], "at least one network"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_the_remedy(arguments, message):
    with pytest.raises(TrainingError, match=message):
        parse(*arguments)
