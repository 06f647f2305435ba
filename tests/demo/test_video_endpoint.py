"""`/swap_video`, called by the real client on clips made on the spot."""

import time
from fractions import Fraction
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job
from gradio_client.exceptions import AppError
from PIL import Image

from simswap.video.metadata_label import read_video_label
from simswap.video.source.info import probe_video
from tests.support.demo.demo_server import paths_below
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import NUM_FRAMES, NUM_WITHOUT_FACE, RATE
from tests.support.media.video_files import frame_seconds, make_video, sound_packets
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

ADMIRAL = EXAMPLES / "grace_hopper.jpg"
PATIENCE = 60.0  # seconds, for a busy machine


@pytest.fixture(scope="module")
def client(demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(demo_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def swap(client: Client, face_clip: Path) -> tuple[Job, list]:
    """The admiral in the clip, with the defaults: the finished job, and progress seen meanwhile."""
    job = client.submit(
        source=handle_file(ADMIRAL), target=handle_file(face_clip), api_name="/swap_video"
    )
    seen = []
    while not job.done():
        seen += job.status().progress_data or []
        time.sleep(0.01)
    return job, seen


def files_of_jobs(demo_folder: Path) -> list[Path]:
    """What running jobs have written, and results."""
    paths = paths_below(demo_folder / "uploads")
    return [path for path in paths if path.match("*.job") or path.match("*-simswap.mp4")]


def test_the_result_has_the_videos_frames_times_sound_and_a_mark(swap, face_clip: Path):
    result = Path(swap[0].result()[0])
    np.testing.assert_allclose(frame_seconds(result), frame_seconds(face_clip), atol=1e-3)
    assert sound_packets(result) == sound_packets(face_clip)
    assert read_video_label(result) is not None


def test_the_summary_counts_frames_and_faces(swap):
    summary = swap[0].result()[1]
    assert summary["frames"] == NUM_FRAMES
    assert summary["faces_swapped"] == NUM_FRAMES - NUM_WITHOUT_FACE
    assert summary["frames_without_face"] == NUM_WITHOUT_FACE
    assert summary["frames_per_second"] > 0
    assert summary["notices"] == []


def test_the_client_sees_how_far_it_is(swap):
    job, seen = swap
    assert {(unit.length, unit.unit) for unit in seen} == {(NUM_FRAMES, "frames")}
    steps = [summary for video, summary in job.outputs() if video is None]
    done = [step["frames_done"] for step in steps]
    assert done[0] == 0
    assert done == sorted(done)
    assert {step["frames_total"] for step in steps} == {NUM_FRAMES}


def test_options_go_by_name(client: Client, face_clip: Path):
    result, summary = client.predict(
        source=[handle_file(ADMIRAL), handle_file(ADMIRAL)],
        target=handle_file(face_clip),
        faces="largest",
        start=5 / RATE,
        end=9 / RATE,
        format="webm",
        crf=40,
        detect_every=2,
        match_colour=False,
        mask_softness=0.2,
        api_name="/swap_video",
    )
    info = probe_video(result)
    assert (info.num_frames, info.codec, summary["faces_swapped"]) == (4, "vp9", 4)


def test_a_cancelled_job_stops_and_leaves_nothing(
    client: Client, demo_folder: Path, long_face_clip: Path
):
    before = files_of_jobs(demo_folder)
    job = client.submit(
        source=handle_file(ADMIRAL), target=handle_file(long_face_clip), api_name="/swap_video"
    )
    wait_until(lambda: len(job.outputs()) > 3)
    assert len(files_of_jobs(demo_folder)) == len(before) + 1
    job.cancel()
    wait_until(lambda: files_of_jobs(demo_folder) == before)


def test_a_client_that_goes_away_stops_its_job(
    demo_url: str, demo_folder: Path, long_face_clip: Path
):
    before = files_of_jobs(demo_folder)
    uploads = [("files", path.read_bytes()) for path in (ADMIRAL, long_face_clip)]
    paths = httpx.post(f"{demo_url}/gradio_api/upload", files=uploads).json()
    files = [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]
    call = f"{demo_url}/gradio_api/call/swap_video"
    data = [*files, "all", 0, None, "mp4", None, 1, True, 0.08, True, None]
    event = httpx.post(call, json={"data": data}).json()["event_id"]
    with httpx.stream("GET", f"{call}/{event}", timeout=PATIENCE) as stream:
        lines = stream.iter_lines()
        wait_until(lambda: "frames_done" in next(lines))
        assert len(files_of_jobs(demo_folder)) == len(before) + 1
    wait_until(lambda: files_of_jobs(demo_folder) == before)


@pytest.fixture(scope="module")
def bad_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.mp4").write_text("not a video")
    make_video(folder / "sound.m4a", num_frames=0)
    make_video(folder / "long.mp4", num_frames=130, time_base=Fraction(1), sound=None)
    make_video(
        folder / "huge.mp4",
        size=(2560, 1442),
        num_frames=1,
        sound=None,
        options={"preset": "ultrafast"},
    )
    Image.new("RGB", (320, 240), (90, 120, 90)).save(folder / "meadow.png")
    return folder


@pytest.mark.parametrize(
    ("source", "target", "options", "sentence"),
    [
        (ADMIRAL, "text.mp4", {}, "text.mp4 is not a video that can be read"),
        (ADMIRAL, "sound.m4a", {}, "sound but no pictures"),
        (ADMIRAL, "long.mp4", {}, "130.0 s of video are too much .* up to 120 s"),
        (ADMIRAL, "huge.mp4", {}, "frames of 2560x1442 .* Scale it down"),
        ("meadow.png", "clip", {}, "source photo shows no face"),
        ("text.mp4", "clip", {}, "not a photo"),
        (ADMIRAL, "clip", {"format": "../x"}, "choose one of mp4, mov, mkv, webm, gif, webp"),
        (ADMIRAL, "clip", {"faces": "nose"}, "faces='nose' is not known"),
        (ADMIRAL, "clip", {"start": 99}, "the video ends at 1.083 s"),
        (ADMIRAL, "clip", {"start": 1, "end": 0.5}, "is not after start"),
        (ADMIRAL, "clip", {"crf": 99}, "crf is 99"),
        (ADMIRAL, "clip", {"detect_every": 0}, "detect_every=0"),
        (ADMIRAL, "clip", {"detect_every": 1.5}, "detect_every is 1.5; give a whole number"),
    ],
)
def test_a_mistake_comes_back_as_a_sentence_without_a_path(
    client: Client, bad_files: Path, face_clip: Path, source, target, options, sentence
):
    path = face_clip if target == "clip" else bad_files / target
    with pytest.raises(AppError, match=sentence) as caught:
        client.predict(
            source=handle_file(bad_files / source),  # an absolute path stays as it is
            target=handle_file(path),
            **options,
            api_name="/swap_video",
        )
    assert "Traceback" not in str(caught.value)
    assert str(bad_files) not in str(caught.value)
