"""How far results keep their targets' glasses, as a judge reads it."""

import logging

import numpy as np
import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")

from tests.train.evaluate.test_evaluate import make_evaluation_data
from train.checks.glasses import main, mismatched, share_kept
from train.errors import TrainingError
from train.evaluate.judge_files import IDENTITY_FILE
from train.evaluate.judges import IdentityJudge
from train.evaluate.pairs import load_pairs
from train.networks.glasses import GlassesDirection, save_directions


@pytest.mark.parametrize("origin", [0.0, -3.0])
def test_pairs_count_of_which_one_photo_alone_shows_glasses(origin):
    wearer, bare, unsure = 1.0, 0.0, 0.45
    readings = [(bare, wearer), (wearer, bare), (wearer, wearer), (unsure, wearer), (bare, unsure)]
    readings += [(bare, bare)] * 5
    target_only, source_only = mismatched(np.array(readings) + origin)
    assert target_only.tolist() == [0]
    assert source_only.tolist() == [1]


@pytest.mark.parametrize(("result", "share"), [(0.8, 0.0), (0.0, 1.0), (0.4, 0.5)])
def test_a_result_that_reads_like_its_target_kept_all(result, share):
    assert share_kept(0.8, 0.0, result) == pytest.approx(share)


@pytest.fixture(scope="module")
def data(swapper, tmp_path_factory):
    return make_evaluation_data(swapper, tmp_path_factory.mktemp("data"))


@pytest.fixture
def directions(data, tmp_path):
    """Of the tiny judge: what tells the second photo from the first, in place of glasses."""
    pair, judge = load_pairs(data / "eval")[0], IdentityJudge(data / "models" / IDENTITY_FILE)
    photos = [pair.read_source(), pair.read_target()]
    first, second = judge.embed(photos, [pair.source_landmarks, pair.target_landmarks])
    direction = torch.from_numpy(second - first)
    readout = 2 * direction / (direction @ direction)  # the two photos read 2 apart
    path = tmp_path / "glasses.safetensors"
    found = GlassesDirection(direction, readout, torch.from_numpy(first) @ readout)
    save_directions({IDENTITY_FILE.removesuffix(".pt"): found}, path)
    return path


@pytest.mark.slow
def test_the_command_tells_the_mean_share_of_both_kinds_of_pairs(data, directions, caplog):
    caplog.set_level(logging.INFO, "train.checks.glasses")
    main(["--data", str(data), "--glasses", str(directions)])
    assert "target wears glasses, source none (1 pairs): " in caplog.text
    assert "source wears glasses, target none (1 pairs): " in caplog.text


def test_directions_of_another_network_are_refused(data, tmp_path):
    path = tmp_path / "glasses.safetensors"
    other = GlassesDirection(torch.ones(4), torch.ones(4) / 4, torch.tensor(0.0))
    save_directions({"other": other}, path)
    with pytest.raises(TrainingError, match="knows no glasses of judge_mobilefacenet_y1"):
        main(["--data", str(data), "--glasses", str(path)])


def test_a_teacher_is_no_judge_of_glasses(data, directions, tmp_path):
    teacher = tmp_path / "edgeface_xs.pt"
    teacher.write_bytes((data / "models" / IDENTITY_FILE).read_bytes())
    with pytest.raises(TrainingError, match="was a teacher"):
        main(["--data", str(data), "--glasses", str(directions), "--judge", str(teacher)])
