"""Settings from presets, files and the command line, all through one dataclass."""

import pytest

pytest.importorskip("accelerate", reason="needs the train extra")

from train.command_line import PRESETS, parse_config
from train.config import Ramp, TrainConfig
from train.errors import TrainingError


@pytest.mark.parametrize("name", sorted(path.stem for path in PRESETS.glob("*.toml")))
def test_every_preset_is_a_valid_configuration(name):
    assert parse_config(["--config", name]).name.startswith("simswap")


def test_no_argument_gives_the_defaults():
    assert parse_config([]) == TrainConfig()


def test_the_command_line_overrides_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("batch_size = 3\nseed = 5\n[weights]\nadversarial = 7.0\n")
    config = parse_config(["--config", str(path), "--seed", "9"])
    assert (config.batch_size, config.seed, config.weights.adversarial) == (3, 9, 7.0)


def test_nested_settings_are_flags_with_dots():
    flags = [
        "--generator.channels",
        "8,16",
        "--weights.identity.start",
        "3",
        "--discriminator.width=4",
    ]
    config = parse_config(flags)
    assert config.generator.channels == (8, 16)
    assert config.weights.identity.start == 3
    assert config.discriminator.width == 4


def test_a_mixture_is_two_flags():
    config = parse_config(["--data", "a,b", "--data-weights", "0.5,2", "--augmentation.grey=0.1"])
    assert config.data_weights == (0.5, 2.0)
    assert config.augmentation.grey == 0.1


def test_a_ramp_may_be_one_number(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[weights]\nidentity = 10\n")
    assert parse_config(["--config", str(path)]).weights.identity == Ramp(10, 10, 0, 0)


def test_resume_alone_means_the_latest_checkpoint():
    assert parse_config(["--resume"]).resume == "latest"


def test_a_switch_can_be_turned_off():
    assert parse_config(["--no-channels-last"]).channels_last is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize = 3", "batchsize.*Did you mean batch_size"),
        ("[weights]\nidentiy = 3", "weights.identiy.*Did you mean identity"),
        ("weights = 3", "weights=3 must be a table"),
        ("batch_size = 'many'", "batch_size='many' does not fit"),
        ("batch_size = 2.5", "batch_size=2.5 does not fit"),
        ("compile = 'yes'", "compile='yes' does not fit: use true or false"),
        ("batch_size = 0", "batch_size=0 must be at least 1"),
        ("identity_exponent = 0.5", "identity_exponent=0.5 must be at least 1"),
        ("decay_from = 2", "decay_from=2.0 must lie in"),
        ("crop_size = 100", "crop_size=100 must be a multiple of 8"),
        ("crop_template = 'passport'", "crop_template='passport'"),
        ("teachers = []", "at least one network"),
        ("mixed_precision = 'bf8'", "use one of 'auto', 'no', 'bf16', 'fp16'"),
        ("adam_betas = [0.9]", "must be two numbers"),
        ("push_to_hub = true", "push_to_hub needs --hub-model-id"),
        ("eval_data = 'x'", "eval_data needs --judge"),
        ("resume = 'latest'\ninit_from = 'x'", "give one of them"),
        ("generator_from = 9", "discriminator_from must be 0"),
        ("[generator]\nnum_blocks = 0", "num_blocks=0"),
        ("[discriminator]\nwidth = 0", "must be at least 1"),
        ("data = 'a,b'\ndata_weights = [1.0]", "one weight for each of the 2 data sets"),
        ("data = 'a,b'\ndata_weights = [1.0, -1.0]", "none below 0"),
        ("data = 'a,b'\ndata_weights = [0.0, 0.0]", "one at least above"),
        ("data = 'a,b'\nsource_weights = [1.0, 1.0]", "source_weights needs --data-weights"),
        ("swapped_back = 0.7\npasted = 0.5", "together at most 1"),
        ("cache_photos = true\npasted = 0.5", "cache_photos knows no pasted"),
        ("cache_photos = true\n[augmentation]\ngrey = 0.1", "cache_photos knows neither"),
        ("[augmentation]\ngrey = 2.0", "augmentation.grey=2.0 must lie in"),
        ("glasses_emphasis = -1.0", "must be at least 0"),
        ("batch_size =", "cannot be read as TOML"),
    ],
)
def test_a_setting_that_does_not_fit_is_named_with_the_remedy(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        parse_config(["--config", str(path)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batchsize", "3"], "Did you mean --batch-size"),
        (["--config", "simswap-244"], "Did you mean simswap-224"),
        (["--batch-size", "few"], "batch_size='few' does not fit"),
        (["--weights.identity.to-step", "1"], "to_step=1 lies before from_step"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_with_the_remedy(arguments, message):
    with pytest.raises(TrainingError, match=message):
        parse_config(arguments)
