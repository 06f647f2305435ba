"""Who waits for whom: what looks at one visitor's video holds up no other visitor's photo."""

import json
from dataclasses import replace

import pytest

from simswap import MediaError
from simswap.demo.services import allowances, verifying, video_limits
from tests.support.demo.demo_server import run_as_demo
from tests.support.media.video_files import make_video

pytestmark = pytest.mark.slow
PHOTO_LANE = "swap"


# In a process of its own: app.py moves a process's temporary files into the demo's folder.
TELL_EVENTS = """
import json, app
events = {}
for one in app.queued_page().fns.values():
    if one.fn is not None:
        shown = [component.elem_id for component in one.outputs]
        told = one.concurrency_id, one.concurrency_limit, one.trigger_mode, shown
        events.setdefault(f"{one.fn.__module__}.{one.fn.__name__}", []).append(told)
print(json.dumps(events))
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> dict[str, list[list[int | str]]]:
    """By each function of the page, its module and name: the events that it answers.

    Of each: its lane, how many run in that, what Gradio does with the next while one runs, and
    the names of what shows its answer.
    """
    done = run_as_demo("-c", TELL_EVENTS, stored=tmp_path_factory.mktemp("lanes"))
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def lanes(events) -> dict[str, list[int | str]]:
    """Of each function: its lane, and how many run in that."""
    return {name: answered[-1][:2] for name, answered in events.items()}


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("video-preview", "video.tab.show_video"),
        ("faces", "image.show_faces"),
        ("source-faces", "people.check_photos"),
    ],
)
def test_what_several_inputs_change_is_shown_by_one_event_so_that_the_newest_stays(
    events, shown, name
):
    """Of two events of their own, the older one's answer may come last."""
    showing = [
        (function, trigger_mode)
        for function, answered in events.items()
        for _, _, trigger_mode, outputs in answered
        if shown in outputs
    ]
    assert showing == [(f"simswap.demo.tabs.{name}", "always_last")]


def test_only_swaps_of_photos_are_in_their_lane(lanes):
    assert {name for name, (lane, _) in lanes.items() if lane == PHOTO_LANE} == {
        "simswap.demo.tabs.image.swap_on_page",
        "simswap.demo.photo_endpoints.swap_image",
        "simswap.demo.tabs.verify.load_example",  # which swaps what it shows
    }


def test_one_video_is_swapped_at_a_time(lanes):
    names = ("simswap.demo.video_endpoints.swap_video", "simswap.demo.tabs.video.tab.swap_on_page")
    assert [lanes[name] for name in names] == [["video", 1]] * 2


@pytest.mark.parametrize(
    "names",
    [
        ("simswap.demo.tabs.image.swap_on_page", "simswap.demo.photo_endpoints.swap_image"),
        ("simswap.demo.verify_endpoint.verify", "simswap.demo.tabs.verify.show"),
        ("simswap.demo.photo_endpoints.detect_faces",),
        ("simswap.demo.tabs.image.show_faces",),
        ("simswap.demo.tabs.people.check_photos",),
        ("simswap.demo.tabs.webcam.begin", "simswap.demo.tabs.webcam.change"),
    ],
)
def test_where_photos_are_read_others_have_places_beside_one_that_waits(lanes, names):
    assert len({lanes[name][0] for name in names}) == 1
    assert all(lanes[name][1] == allowances.PLACES for name in names)


def test_a_preview_leaves_a_place_for_another_visitors(lanes):
    assert lanes["simswap.demo.tabs.video.tab.show_video"] == ["preview", 2]


@pytest.fixture
def video(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return str(make_video(tmp_path / "in.mp4", num_frames=30, sound=None))


def test_one_file_that_is_verified_costs_ten_seconds_at_most():
    limits, seconds = video_limits.VERIFY_LIMITS, video_limits.LOOK_SECONDS
    assert limits.max_work + seconds <= 10  # the look-through is part of the seconds on the clock
    assert limits.max_decoded <= 500_000_000


def test_verify_looks_until_its_time_on_the_clock_is_up(video, monkeypatch):
    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr(verifying, "clock", lambda: next(hours))
    found = verifying.verify_upload(video).watermark
    assert (len(found.seconds), found.num_pictures) == (1, 30)


def test_a_video_that_costs_too_much_to_be_verified_is_told_so(video, monkeypatch):
    limits = replace(video_limits.VERIFY_LIMITS, max_work=0.001)
    monkeypatch.setattr(verifying, "VERIFY_LIMITS", limits)
    with pytest.raises(MediaError, match=r"in\.mp4 takes too much time .* Convert it"):
        verifying.verify_upload(video)


def test_a_video_with_too_many_pixels_to_be_listed_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    video = make_video(tmp_path / "in.avi", codec="libx264", num_frames=30, sound=None)
    limits = replace(video_limits.VERIFY_LIMITS, max_decoded=96 * 64 * 10)
    monkeypatch.setattr(verifying, "VERIFY_LIMITS", limits)
    assert "has to be decoded to find its frames" in verifying.verify_upload(str(video)).damage
