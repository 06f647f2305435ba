"""The people of a video, as its preview shows them: who is swapped, and with whom."""

import shutil
from pathlib import Path

import pytest

from simswap.errors import OptionError
from tests.support.examples import EXAMPLES
from tests.support.media.people_videos import NUM_FRAMES, cuts, make_scene

pytestmark = pytest.mark.slow

cast = pytest.importorskip("simswap.demo.tabs.video.cast")
face_strip = pytest.importorskip("simswap.demo.tabs.face_strip")
videos = pytest.importorskip("simswap.demo.services.videos")
CHOICES = pytest.importorskip("simswap.demo.choices").VideoChoices()

MODEL = "any"
ASTRONAUT, HOPPER, BOTH = 0, 5, 10  # frames


@pytest.fixture
def tray(uploads: Path) -> dict[str, object]:
    """Two people, of whom the second is open."""
    names = ("astronaut.jpg", "grace_hopper.jpg")
    paths = [str(shutil.copy(EXAMPLES / name, uploads)) for name in names]
    photos = [[{"image": {"path": path}}] for path in paths]
    people = [{"id": 1, "photos": photos[0]}, {"id": 4, "photos": photos[1]}]
    return {"people": people, "open": 1}


@pytest.fixture
def film(uploads: Path) -> str:
    return str(make_scene(uploads / "cuts.mp4", cuts))


def see(tray, film: str, *frames: int) -> tuple["cast.Seen", dict[str, object]]:
    """Who is known, and the strip, after a look at each of these frames."""
    seen, strip = None, dict(face_strip.EMPTY)
    people, _ = cast.put_in(tray, strip, seen, film, MODEL)
    for frame in frames:
        preview = videos.preview(people, film, frame, CHOICES)
        seen, longer = cast.with_new(seen, strip, film, MODEL, preview)
        strip = longer or strip
    return seen, strip


def test_the_strip_grows_with_who_is_new(tray, film):
    counts = [len(see(tray, film, *range(0, end, 5))[1]["faces"]) for end in (5, 10, 15)]
    assert counts == [1, 2, 2]


@pytest.mark.parametrize(
    "forged",
    [
        {"picked": [-100]},
        {"picked": [10**30]},
        {"picked": [0], "numbers": [7], "who": [4], "isMapped": True},
        {"numbers": [-1], "picked": [-1], "who": [1], "isMapped": True},
    ],
)
def test_whom_no_frame_has_shown_a_strip_cannot_name(tray, film, forged):
    seen, strip = see(tray, film, ASTRONAUT)
    people, roles = cast.put_in(tray, {**strip, **forged}, seen, film, MODEL)
    assert len(roles) == len(people) <= 1


def test_who_is_new_stays_as_they_are_once_somebody_is_left_out(tray, film):
    seen, strip = see(tray, film, ASTRONAUT)
    preview = videos.preview([], film, HOPPER, CHOICES)
    assert preview.after is None
    people, _ = cast.put_in(tray, strip, seen, film, MODEL)
    preview = videos.preview(people, film, HOPPER, CHOICES)
    for picked, then in (([0], [0, 1]), ([], [])):
        _, longer = cast.with_new(seen, {**strip, "picked": picked}, film, MODEL, preview)
        assert longer["picked"] == then


def test_only_those_who_are_picked_are_swapped(tray, film):
    seen, strip = see(tray, film, BOTH)
    given = cast.put_in(tray, {**strip, "picked": [0]}, seen, film, MODEL)
    *_, outcome = videos.swap_uploads(given[0], film, CHOICES, given[1])
    assert (outcome.report.faces_swapped, outcome.report.frames) == (10, NUM_FRAMES[cuts])


def test_everybody_gets_the_open_person_until_a_visitor_says_otherwise(tray, film):
    seen, strip = see(tray, film, BOTH)
    (person,), roles = cast.put_in(tray, {**strip, "who": [1, 1]}, seen, film, MODEL)
    assert (Path(person.photos[0]).name, roles) == ("grace_hopper.jpg", None)
    mapped = {**strip, "who": [4, 1], "isMapped": True}
    people, roles = cast.put_in(tray, mapped, seen, film, MODEL)
    assert [Path(person.photos[0]).stem for person in people] == ["astronaut", "grace_hopper"]
    assert [role.place for role in roles] == [1, 0]


def test_with_everybody_left_out_it_is_said_what_to_do(tray, film):
    seen, strip = see(tray, film, BOTH)
    with pytest.raises(OptionError, match="Pick at least one face"):
        cast.put_in(tray, {**strip, "picked": []}, seen, film, MODEL)


def test_another_models_people_are_not_these(tray, film):
    seen, strip = see(tray, film, BOTH)
    assert cast.put_in(tray, {**strip, "picked": [0]}, seen, film, "other")[1] is None
