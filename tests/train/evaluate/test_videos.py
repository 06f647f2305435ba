"""Swapped videos of any system, judged: on a clip made on the spot, with a judge made here."""

import csv
import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import NUM_WITHOUT_FACE, make_face_video
from tests.train.evaluate.test_judges import save_judge
from train.errors import TrainingError
from train.evaluate.judge_files import IDENTITY_FILE, find_judges
from train.evaluate.judges import load_judges
from train.evaluate.videos.__main__ import main
from train.evaluate.videos.figures import RATIOS, VideoFigures
from train.evaluate.videos.measuring import Looks, measure_video
from train.evaluate.videos.pairs import load_video_pairs, result_files, sampled
from train.evaluate.videos.steadiness import SteadinessMeter, Unsteadiness, mask_edge

SOURCE = EXAMPLES / "grace_hopper.jpg"
LOOKS = Looks(frames=6, run=14)


def write_pairs(folder: Path, *rows: tuple[object, object]) -> Path:
    path = folder / "videos.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("source", "target"), *rows])
    return path


def write_video(path: Path, frames: list[np.ndarray]) -> Path:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "8"})
        stream.height, stream.width, _ = frames[0].shape
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory, astronaut) -> Path:
    """A clip of 20 frames with a face and 6 without, as target and as source, and a judge."""
    folder = tmp_path_factory.mktemp("videos")
    make_face_video(folder / "clip.mp4", astronaut)
    save_judge(folder / "models" / IDENTITY_FILE)
    return folder


@pytest.fixture(scope="module")
def frames(data) -> list[np.ndarray]:
    info = probe_video(data / "clip.mp4")
    return list(read_frames(info, 0, info.num_frames))


@pytest.fixture(scope="module")
def judges(data):
    return load_judges(find_judges(data / "models"))


@pytest.fixture
def pairs(data):
    return load_video_pairs(write_pairs(data, (SOURCE, "clip.mp4")))


def judged(pairs, results, swapper, judges) -> dict[str, VideoFigures]:
    found = measure_video(pairs[0], results, len(pairs), swapper, judges, LOOKS)
    return {name: VideoFigures.of([video]) for name, video in found.items()}


def test_frames_are_spread_evenly_and_none_is_taken_twice():
    assert sampled(100, 4) == [12, 37, 62, 87]
    assert sampled(3, 10) == [0, 1, 2]


@pytest.mark.slow
def test_the_targets_own_file_as_a_result_is_as_steady_and_as_alike_as_no_swap(
    pairs, swapper, judges
):
    found = judged(pairs, {"theirs": pairs[0].target, "no swap": None}, swapper, judges)
    theirs, none = found["theirs"], found["no swap"]
    assert theirs.frames.target_cosine == none.frames.target_cosine == pytest.approx(1, abs=1e-5)
    assert theirs.steadiness() == none.steadiness() == pytest.approx(dict.fromkeys(RATIOS, 1))
    assert (theirs.missing, none.missing) == (0, 1)
    assert theirs.num_faceless == 1  # of the six
    assert theirs.frames.num_pairs == 5


@pytest.mark.slow
def test_a_result_that_flickers_is_less_steady(pairs, swapper, judges, frames, tmp_path):
    gains = np.where(np.arange(len(frames)) % 2, 1.15, 0.9)
    lit = [
        np.clip(f * gain, 0, 255).astype(np.uint8) for f, gain in zip(frames, gains, strict=True)
    ]
    result = write_video(tmp_path / "0.mp4", lit)
    found = judged(pairs, {"theirs": result}, swapper, judges)["theirs"].steadiness()
    assert found["flicker"] > 3
    assert found["change"] > 2


def test_what_shakes_jumps_more_by_its_landmarks_and_by_flow(swapper, frames):
    meter, random = SteadinessMeter(swapper), np.random.default_rng(0)
    for frame in frames[:14]:
        shift = np.float32([[1, 0, random.normal(0, 3)], [0, 1, random.normal(0, 3)]])
        shaken = cv2.warpAffine(frame, shift, frame.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        meter.add(frame, shaken, swapper.detect(frame))
    # Large jumps count as the target's largest.
    assert Unsteadiness.of(meter.tracks()).ratio("jumps") > 1.25
    assert Unsteadiness.of(meter.tracks()).ratio("shakes") > 1.25


def test_noise_shakes_no_picture(swapper, frames):
    meter, random = SteadinessMeter(swapper), np.random.default_rng(0)
    for frame in frames[:14]:
        noise = random.normal(0, 2, (*frame.shape[:2], 1))
        noisy = np.rint(np.clip(frame + noise, 0, 255)).astype(np.uint8)
        meter.add(frame, noisy, swapper.detect(frame))
    assert Unsteadiness.of(meter.tracks()).ratio("shakes") < 1.1


def test_the_edge_of_a_mask_is_where_it_is_half_and_shrinks_where_it_has_a_hole():
    y, x = np.mgrid[:128, :128]
    middle, radius = np.array([60.0, 66.0]), 40
    distance = np.hypot(x - middle[0], y - middle[1])
    mask = np.clip((radius + 5 - distance) / 10, 0, 1).astype(np.float32)
    edge = mask_edge(mask, np.tile(middle, (5, 1)))
    assert np.hypot(*(edge - middle).T) == pytest.approx(np.full(len(edge), radius), abs=0.3)
    mask[:, 80:90] = 0
    with_hole = mask_edge(mask, np.tile(middle, (5, 1)))
    assert edge[0, 0] - with_hole[0, 0] == pytest.approx(10, abs=0.3)
    assert np.array_equal(edge[len(edge) // 2], with_hole[len(edge) // 2])


def test_the_edge_of_a_mask_counts_where_it_is_told(swapper, frames):
    meter, random = SteadinessMeter(swapper), np.random.default_rng(0)
    for frame in frames[:14]:
        found = swapper.detect(frame)
        meter.add(frame, frame, found, found, [random.normal(0, 3, (8, 2)) for _ in found])
    assert Unsteadiness.of(meter.tracks()).ratio("jumps", "edge") > 1.25


def test_nothing_measured_is_no_figure():
    assert np.isnan(Unsteadiness.of([]).ratio("jumps"))


@pytest.mark.slow
def test_the_right_person_is_found_among_all_frames_of_all_sources(data, swapper, judges, tmp_path):
    """A source video and a photo; one result shows its source, the other its target."""
    path = write_pairs(data, ("clip.mp4", "clip.mp4"), (SOURCE, "clip.mp4"))
    pairs = load_video_pairs(path)
    videos = [
        measure_video(pair, {"theirs": pair.target}, 2, swapper, judges, LOOKS)["theirs"]
        for pair in pairs
    ]
    figures = VideoFigures.of(videos).frames
    assert figures.id_retrieval == 0.5
    assert figures.num_pairs == 10
    assert np.isfinite(figures.frechet_real)
    numbers = [{int(number) % 2 for number in video.frames.numbers} for video in videos]
    assert numbers == [{0}, {1}]  # the halves whose distance that is share no video


def test_a_result_without_its_targets_frames_is_refused(pairs, swapper, judges, frames, tmp_path):
    short = write_video(tmp_path / "0.mp4", frames[:-NUM_WITHOUT_FACE])
    with pytest.raises(TrainingError, match=r"240 x 192 pixels, 20 frames, its target .* 26\."):
        judged(pairs, {"theirs": short}, swapper, judges)


def test_a_target_without_a_face_is_refused_by_name(data, swapper, judges, frames):
    write_video(data / "empty.mp4", frames[-NUM_WITHOUT_FACE:])
    pairs = load_video_pairs(write_pairs(data, (SOURCE, "empty.mp4")))
    with pytest.raises(TrainingError, match=r"empty\.mp4 shows no face in the 6 frames"):
        judged(pairs, {"no swap": None}, swapper, judges)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((SOURCE, "nowhere.mp4"), r"line 2: .*nowhere\.mp4 is missing"),
        ((SOURCE, SOURCE), "is no video"),
    ],
)
def test_a_pair_that_cannot_be_is_told_by_line(tmp_path, row, message):
    with pytest.raises(TrainingError, match=message):
        load_video_pairs(write_pairs(tmp_path, row))


def test_a_folder_without_result_videos_is_refused(pairs, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "0.png")
    with pytest.raises(TrainingError, match="holds no results"):
        result_files(tmp_path, pairs)


@pytest.mark.slow
def test_the_command_judges_others_and_ours_and_writes_all_of_it(data, pairs, tmp_path, capsys):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "0000.mp4").symlink_to(pairs[0].target)
    wanted = ["--results", f"theirs={theirs}", "--model", "assets/models/simswap-lite-128"]
    outputs = ["--keep", str(tmp_path), "--json", str(tmp_path / "figures.json")]
    few = ["--frames", "3", "--run", "12", "--device", "cpu"]
    command = ["--pairs", str(data / "videos.csv"), "--data", str(data), *wanted, *outputs, *few]
    assert main(command) == 0
    table = capsys.readouterr().out
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")]
    assert rows == ["| faces", "| theirs", "| simswap-lite-128", "| no swap"]
    assert "not FID" in table
    stored = json.loads((tmp_path / "figures.json").read_text())
    ours = stored["figures"]["simswap-lite-128"]
    assert ours["target_cosine"] < stored["figures"]["theirs"]["target_cosine"]
    assert ours["jumps"] > 0
    assert stored["videos"]["theirs"][0]["target_cosine"] == pytest.approx(1, abs=1e-5)
    assert probe_video(tmp_path / "simswap-lite-128" / "0.mp4").num_frames == 26


def test_the_command_asks_what_is_to_be_judged(capsys):
    with pytest.raises(SystemExit):
        main(["--pairs", "videos.csv", "--data", "models"])
    assert "name what is to be judged" in capsys.readouterr().err
