"""Evaluation while training: where its figures go, and that processes share the work."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

pytest.importorskip("datasets", reason="needs the train extra")
pytest.importorskip("tensorboard", reason="needs the train extra")

from tests.support.examples import read_example
from tests.support.training.training_here import train_here
from tests.support.training.training_runs import finish_all, start_each, write_config
from tests.train.evaluate.test_evaluate import COLUMNS, PHOTOS, write_table
from tests.train.evaluate.test_judges import save_judge

pytestmark = pytest.mark.slow
SIDE = 192  # px


@pytest.fixture(scope="module")
def evaluation(swapper, tmp_path_factory) -> tuple[str, ...]:
    """Flags for three pairs of two people, which two processes share unevenly, and a judge."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "photos").mkdir()
    rows = []
    for name in PHOTOS:
        photo = np.array(Image.fromarray(read_example(name)).resize((SIDE, SIDE)))
        Image.fromarray(photo).save(folder / "photos" / name, quality=95)
        landmarks = swapper.detect(photo)[0].landmarks
        rows.append([Path(name).stem, name, *landmarks.flatten()])
    write_table(folder / "photos.csv", COLUMNS, rows)
    one, other = PHOTOS
    columns = ["source_identity", "source_file", "target_file"]
    pairs = [["one", one, other], ["other", other, one], ["one", one, one]]
    write_table(folder / "pairs.csv", columns, pairs)
    judge = save_judge(folder / "judge.pt")
    return ("--eval-data", str(folder), "--judge", str(judge), "--evaluate-every", "5")


@pytest.fixture(scope="module")
def run(data, evaluation, tmp_path_factory) -> Path:
    """The folder of a run of ten steps."""
    folder = tmp_path_factory.mktemp("one")
    flags = ("--num-steps", "10", "--log-with", "tensorboard")
    assert train_here(write_config(folder, data), *evaluation, *flags) == 0
    return folder / "run"


def figures(run: Path) -> dict[int, dict[str, float]]:
    """What was measured after each step."""
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    found = {}
    for row in rows:
        values = {name: value for name, value in row.items() if name.startswith("eval/")}
        if values:
            found[row["step"]] = values
    return found


def test_the_model_is_evaluated_before_the_first_step_and_at_intervals(run):
    found = figures(run)
    assert list(found) == [0, 5, 10]
    assert found[0].keys() == found[10].keys()
    assert found[0] != found[10]
    assert {"eval/id_retrieval", "eval/id_cosine", "eval/self_l1"} <= found[10].keys()


def test_the_bundles_card_holds_the_last_table(run):
    card = (run / "bundle" / "README.md").read_text()
    assert "## Evaluation" in card
    assert "| swapped |" in card
    assert "After step 10." in card
    assert "3 pairs." in card
    assert "Judge of identity: judge." in card
    assert "model-index" in card


def test_the_tracker_gets_losses_figures_and_samples(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "logs")).Reload()
    tags = events.Tags()
    assert {"loss/reconstruction", "images_per_second", "eval/id_cosine"} <= {*tags["scalars"]}
    assert [event.step for event in events.Images("samples")] == [10]
    (written,) = (run / "logs").rglob("hparams.yml")
    settings = yaml.safe_load(written.read_text())
    assert settings["weights.identity.start"] == 20
    assert settings["generator.channels"] == "[4, 8]"


def test_two_processes_measure_the_same(run, data, evaluation, tmp_path):
    config = write_config(tmp_path, data)
    finish_all(start_each(config, *evaluation, "--num-steps", "2", num_processes=2))
    # Not to the last bit: the number of threads decides how sums are rounded, then pixels.
    expected = pytest.approx(figures(run)[0], rel=1e-3, abs=1e-3, nan_ok=True)
    assert figures(tmp_path / "run")[0] == expected
