"""Is one name one person, and who is held out for evaluation."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.examples import ROOT
from tests.support.training.shard_sources import write_parquet
from tests.train.prepare.test_prepare import HERE, QUICK, noise_records
from train.errors import TrainingError
from train.evaluate.pairs import load_pairs
from train.prepare import __main__ as command
from train.prepare import people
from train.prepare.dataset import prepare
from train.prepare.people import outside_the_largest_group
from train.prepare.shards import COUNT, DROP, PrepareSettings


def names_in(folder) -> list[str | None]:
    tables = [pq.read_table(path, columns=["identity"]) for path in folder.glob("*.parquet")]
    return [name for table in tables for name in table["identity"].to_pylist()]


def at(*degrees: float) -> np.ndarray:
    """Embeddings in a plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_photos_are_of_one_person_if_a_chain_of_likeness_joins_them():
    assert not outside_the_largest_group(at(0, 60, 120)).any()  # 120 degrees alone are too far
    assert outside_the_largest_group(at(0, 60, 180)).tolist() == [False, False, True]


def test_a_second_person_with_several_photos_is_odd_as_a_whole():
    assert outside_the_largest_group(at(180, 0, 190, 10, 20)).tolist() == [
        *(True, False, True, False, False)
    ]


def test_of_two_photos_that_disagree_the_first_is_believed():
    assert outside_the_largest_group(at(0, 180)).tolist() == [False, True]


def test_photos_compared_a_few_at_a_time_come_to_the_same(monkeypatch):
    degrees = np.random.default_rng(0).permutation([*range(0, 120, 3), *range(200, 280, 5)])
    views = at(*degrees.tolist())
    at_once = outside_the_largest_group(views)
    assert at_once.any()
    for pairs in (1, 130, 1000):
        monkeypatch.setattr(people, "PAIRS_HELD", pairs)
        assert (outside_the_largest_group(views) == at_once).all()


@pytest.fixture(scope="module")
def mislabelled(data, tmp_path_factory):
    """Twelve views of two people, of which two under the other's name."""
    folder = tmp_path_factory.mktemp("mislabelled")
    records = pq.read_table(data / "train-00000.parquet").to_pylist()[:12]
    for place in (2, 7):  # even ones show the astronaut
        records[place]["identity"] = records[place + 1]["identity"]
    write_parquet(folder / "in" / "a.parquet", records)
    return folder / "in"


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "written"), [(COUNT, 12), (DROP, 10)])
def test_photos_under_anothers_name_are_found_and_counted_or_dropped(
    mislabelled, tmp_path, choice, written
):
    settings = PrepareSettings(str(mislabelled), photos=QUICK, same_person=choice, num_parts=1)
    report = prepare(settings, tmp_path, HERE)
    assert sorted(name.rsplit(" ", 1)[1] for name in report["odd_examples"]) == ["2", "7"]
    assert (report["odd"], report["written"], len(names_in(tmp_path))) == (2, written, written)
    assert "look like another than their name's" in command.table(report)


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Sixty photos of nine people; one in ten is nobody's."""
    folder = tmp_path_factory.mktemp("noise")
    write_parquet(folder / "a.parquet", noise_records(60))
    return folder


def test_people_held_out_are_in_the_evaluation_folder_and_in_no_shard(noise, tmp_path):
    output, folder = tmp_path / "out", tmp_path / "eval"
    arguments = ["--data", str(noise), "--output", str(output), "--min-crop", "32", "--parts", "1"]
    held = ["--hold-out", str(folder), "--hold-out-share", "0.5", "--hold-out-pairs", "30"]
    assert command.main([*arguments, *held]) == 0
    pairs = load_pairs(folder)
    assert len(pairs) == 30
    evaluated = {pair.source_identity for pair in pairs}
    trained = {name for name in names_in(output) if name}
    assert not evaluated & trained
    assert len(evaluated) + len(trained) == 9
    report = json.loads((output / "report.json").read_text())
    assert report["held_out"] + report["written"] == 60
    assert report["held_out_people"] == len(evaluated)
    assert command.main([*arguments, *held]) == 0  # complete already: nothing is made anew


def test_the_same_people_are_held_out_of_a_set_that_grew(noise, tmp_path):
    settings = PrepareSettings(
        str(noise), photos=QUICK, hold_out=str(tmp_path / "eval"), hold_out_share=0.5, num_parts=1
    )
    prepare(settings, tmp_path / "out", HERE)
    write_parquet(tmp_path / "more" / "a.parquet", noise_records(90))
    grown = replace(settings, data=str(tmp_path / "more"), hold_out=str(tmp_path / "eval more"))
    prepare(grown, tmp_path / "out more", HERE)
    before, after = ({name for name in names_in(tmp_path / one)} for one in ("out", "out more"))
    assert before == after


def test_too_few_people_held_out_are_refused(noise, tmp_path):
    settings = PrepareSettings(
        str(noise), photos=QUICK, hold_out=str(tmp_path / "eval"), hold_out_share=1e-6, num_parts=1
    )
    with pytest.raises(TrainingError, match="of 0 people; pairs need two"):
        prepare(settings, tmp_path / "out", HERE)


def test_an_evaluation_folder_that_is_there_is_refused_before_the_work(noise, tmp_path):
    settings = PrepareSettings(str(noise), photos=QUICK, hold_out=str(ROOT), num_parts=1)
    with pytest.raises(TrainingError, match="is there already"):
        prepare(settings, tmp_path / "out", HERE)
    assert not list((tmp_path / "out" / ".prepare").glob("unit-*"))
