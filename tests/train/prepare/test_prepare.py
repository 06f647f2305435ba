"""Preparing photos for training: what is kept, dropped, resumed, and where people end up."""

import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from simswap.errors import ClusterError
from simswap.geometry import TEMPLATES
from tests.support.examples import EXAMPLES
from tests.support.training.shard_sources import encoded, write_parquet
from tests.support.warm_python import start_warm
from train.data.shards import PhotoRow, decode_photo, open_photos
from train.errors import TrainingError
from train.prepare import __main__ as command
from train.prepare import dataset
from train.prepare.__main__ import make_parser, read_settings
from train.prepare.dataset import prepare
from train.prepare.photos import PhotoSettings, Prepared, Reason, cut_out, prepare_photo
from train.prepare.shards import PrepareSettings
from train.prepare.tasks import Place, open_place

PEOPLE = tuple(f"person {number}" for number in range(9))
SIDE, FACE = 96, 64  # px, of noise photos and of the crop in them
POINTS = TEMPLATES["simswap_frontal"] * FACE + (SIDE - FACE) / 2
QUICK = PhotoSettings(min_crop=32)
HERE = Place()


def noise_records(count, first=0):
    """Photos of noise with landmarks; nine people, scattered, and every tenth unlabelled."""
    return [
        {
            "image": {"bytes": encoded(number, SIDE), "path": None},
            "identity": None if number % 10 == 9 else PEOPLE[number % len(PEOPLE)],
            "landmarks": POINTS.tolist(),
        }
        for number in range(first, first + count)
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three shards of twenty noise photos each."""
    folder = tmp_path_factory.mktemp("noise")
    for shard in range(3):
        write_parquet(folder / f"{shard}.parquet", noise_records(20, 20 * shard))
    return folder


@pytest.fixture(scope="module")
def settings(source):
    return PrepareSettings(str(source), photos=QUICK, rows_per_shard=15, num_parts=2)


@pytest.fixture(scope="module")
def output(settings, tmp_path_factory):
    """The noise photos prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(settings, folder, HERE)
    return folder


def shards_in(folder):
    """Bytes of every output shard by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def rows_in(folder):
    photos = open_photos(str(folder))
    return [row for shard in range(photos.num_shards) for row in photos.rows(shard)]


def place_of(photo, **arguments):
    """What becomes of a photo [H, W, 3] given as PNG bytes or pixels."""
    row = PhotoRow(photo, None, arguments.pop("landmarks", None), "here")
    return prepare_photo(row, arguments.pop("detect", None), PhotoSettings(**arguments))


@pytest.mark.parametrize("name", ["astronaut.jpg", "grace_hopper.jpg", "two_portraits.jpg"])
@pytest.mark.parametrize("crop_size", [512, 128])
def test_landmarks_are_those_a_detector_finds_in_the_written_image(swapper, name, crop_size):
    row = PhotoRow((EXAMPLES / name).read_bytes(), None, None, name)
    settings = PhotoSettings(crop_size=crop_size)
    prepared = prepare_photo(row, swapper.detect, settings)
    image = decode_photo(PhotoRow(prepared.image, None, None, name))
    found = swapper.detect(image)[0].landmarks
    eyes = np.linalg.norm(prepared.landmarks[1] - prepared.landmarks[0])
    distances = np.linalg.norm(found - prepared.landmarks, axis=1)
    assert distances.mean() < 0.1 * eyes  # another framing alone moves detections by 5 to 8 %


def test_what_is_cut_out_and_shrunk_is_the_photo_at_the_landmarks():
    ys, xs = np.mgrid[:400, :600]
    points = POINTS * 3 + 40
    photo = np.zeros((400, 600, 3), np.uint8)
    for index, (x, y) in enumerate(points[[0, 1, 4]]):
        photo[..., index] = 255 * np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 60)
    image, landmarks = cut_out(photo, points, PhotoSettings(crop_size=100))
    assert max(image.shape) < 160
    for index, point in enumerate(landmarks[[0, 1, 4]]):
        weights = image[..., index].astype(float)
        ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
        centre = np.array([(weights * xs).sum(), (weights * ys).sum()]) / weights.sum()
        assert np.abs(centre - point).max() < 0.1


def test_a_photo_no_larger_than_needed_keeps_its_pixels():
    photo = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    image, landmarks = cut_out(photo, POINTS, PhotoSettings())
    corner = np.round(POINTS[0] - landmarks[0]).astype(int)
    height, width = image.shape[:2]
    assert np.array_equal(image, photo[corner[1] :, corner[0] :][:height, :width])


def test_the_largest_of_several_faces_is_taken_and_they_are_counted(swapper):
    photo = (EXAMPLES / "two_portraits.jpg").read_bytes()
    prepared = place_of(photo, detect=swapper.detect)
    assert isinstance(prepared, Prepared)
    assert prepared.num_faces == 2


DROPPED = {
    "corrupt": ({"photo": b"no photo"}, Reason.CORRUPT),
    "no face": ({"detect": lambda photo: []}, Reason.NO_FACE),
    "several": ({"detect": lambda photo: [None, None], "one_face": True}, Reason.SEVERAL),
    "coincide": ({"landmarks": np.ones((5, 2), np.float32)}, Reason.COINCIDENT),
    "too small": ({"landmarks": POINTS, "min_crop": 65}, Reason.TOO_SMALL),
    "outside": ({"landmarks": POINTS + 40}, Reason.OUTSIDE),
}


@pytest.mark.parametrize(("arguments", "reason"), DROPPED.values(), ids=DROPPED)
def test_a_photo_is_dropped_for_a_reason(arguments, reason):
    assert place_of(**({"photo": encoded(0, SIDE)} | arguments)) is reason


def test_every_photo_is_written_once_with_its_identity(source, output):
    there = Counter((row.identity, row.image is not None) for row in rows_in(source))
    assert Counter((row.identity, row.image is not None) for row in rows_in(output)) == there
    origins = [
        origin
        for path in output.glob("*.parquet")
        for origin in pq.read_table(path)["origin"].to_pylist()
    ]
    assert len(set(origins)) == 60


def test_a_person_s_photos_stand_together_in_one_shard(output):
    paths = sorted(output.glob("*.parquet"))
    assert len(paths) > 1
    places = defaultdict(list)
    for path in paths:
        for number, name in enumerate(pq.read_table(path)["identity"].to_pylist()):
            if name is not None:
                places[name].append((path, number))
    assert set(places) == set(PEOPLE)
    for of_person in places.values():
        numbers = [number for _, number in of_person]
        assert len({path for path, _ in of_person}) == 1
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_the_output_is_an_image_data_set_for_datasets(output):
    from datasets import Image, load_dataset

    files = [str(path) for path in output.glob("*.parquet")]
    dataset = load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert isinstance(dataset.features["image"], Image)
    row = next(iter(dataset))
    assert row["image"].size[0] <= SIDE
    assert np.array(row["landmarks"]).shape == (5, 2)


def test_the_report_counts_what_was_dropped_and_names_rows(tmp_path, settings):
    records = noise_records(6)
    records[1]["image"]["bytes"] = b"nothing"
    records[2]["landmarks"] = (POINTS + 40).tolist()
    records[4]["landmarks"] = (POINTS - 40).tolist()
    write_parquet(tmp_path / "in/a.parquet", records)
    here = replace(settings, data=str(tmp_path / "in"))
    report = prepare(here, tmp_path / "out", HERE)
    assert (report["rows"], report["written"]) == (6, 3)
    assert report["dropped"] == {Reason.CORRUPT: 1, Reason.OUTSIDE: 2}
    assert report["examples"][Reason.CORRUPT] == ["shard 0 (a.parquet), row 1"]
    assert report == json.loads((tmp_path / "out/report.json").read_text())
    assert "dropped: corrupt or unusable file" in command.table(report)


def test_a_missing_output_shard_is_written_again_without_doubling_rows(settings, output, tmp_path):
    prepare(settings, tmp_path, HERE)
    next(tmp_path.glob("*.parquet")).unlink()
    prepare(settings, tmp_path, HERE)
    assert shards_in(tmp_path) == shards_in(output)


def test_a_run_stopped_between_tasks_does_not_repeat_those_done(
    settings, output, tmp_path, monkeypatch
):
    def until_the_fourth(reports, num_tasks):
        for number, _ in enumerate(reports):
            if number == 3:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_follow", until_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            prepare(settings, tmp_path, HERE)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".prepare/unit-*.json")}
    assert len(done) == 4
    prepare(settings, tmp_path, HERE)
    assert shards_in(tmp_path) == shards_in(output)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert not list(tmp_path.glob(".prepare/*.parquet"))  # what is needed no more is removed


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_shards(settings, source, output, tmp_path):
    arguments = ["--data", str(source), "--output", str(tmp_path), "--min-crop", "32"]
    arguments += ["--rows-per-shard", "15", "--parts", "2"]
    assert read_settings(make_parser().parse_args(arguments))[0] == settings
    process = start_warm(["-m", "train.prepare", *arguments], tmp_path / "output.txt")
    while not list(tmp_path.glob(".prepare/unit-*.json")):
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "report.json").exists()
    assert command.main(arguments) == 0
    assert shards_in(tmp_path) == shards_in(output)


@pytest.mark.slow
def test_several_processes_write_what_one_writes(settings, output, tmp_path):
    prepare(settings, tmp_path, Place(workers=2))
    assert shards_in(tmp_path) == shards_in(output)


@pytest.mark.slow
def test_a_ray_cluster_writes_what_one_process_writes(settings, output, tmp_path):
    pytest.importorskip("ray", reason='needs Ray: pip install -e ".[cluster]"')
    prepare(settings, tmp_path, Place(cluster=""))
    assert shards_in(tmp_path) == shards_in(output)


@pytest.mark.slow
def test_an_error_in_a_ray_task_arrives_as_it_was(tmp_path):
    pytest.importorskip("ray", reason='needs Ray: pip install -e ".[cluster]"')
    with open_place(Place(cluster="")) as run, pytest.raises(TrainingError, match="There is no"):
        list(run(open_photos, [str(tmp_path / "nowhere")]))


def test_without_ray_a_cluster_says_what_to_install(settings, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r'pip install -e "\.\[cluster\]"'):
        prepare(settings, tmp_path, Place(cluster=""))


def test_a_cluster_that_does_not_answer_is_an_error_within_seconds(settings, tmp_path):
    pytest.importorskip("ray", reason='needs Ray: pip install -e ".[cluster]"')
    with pytest.raises(ClusterError, match=r"The Ray cluster 127\.0\.0\.1:9 does not answer"):
        prepare(settings, tmp_path, Place(cluster="127.0.0.1:9"))


def test_a_folder_begun_with_other_settings_is_refused(settings, output):
    other = replace(settings, photos=replace(QUICK, quality=90))
    with pytest.raises(TrainingError, match=r"photos\.quality=95, now it is 90"):
        prepare(other, output, HERE)


def test_a_folder_with_shards_of_others_is_refused(settings, source):
    with pytest.raises(TrainingError, match="did not write"):
        prepare(settings, source, HERE)
    assert not (source / ".prepare").exists()


def test_a_data_set_of_which_nothing_is_left_is_an_error_with_reasons(tmp_path, settings):
    write_parquet(tmp_path / "in/a.parquet", [noise_records(1)[0] | {"landmarks": [[9.0] * 2] * 5}])
    with pytest.raises(TrainingError, match="no face found 1"):
        prepare(replace(settings, data=str(tmp_path / "in")), tmp_path / "out", HERE)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--quality", "101"), ("--crop-size", "8"), ("--max-outside", "2"), ("--workers", "0")],
)
def test_a_value_out_of_range_is_one_sentence_and_exit_code_1(tmp_path, capsys, flag, value):
    arguments = ["--data", "nowhere", "--output", str(tmp_path), flag, value]
    assert command.main(arguments) == 1
    assert capsys.readouterr().err.startswith(f"Error: {flag[2:].replace('-', '_')}=")
