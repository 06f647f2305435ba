"""The watermark in Verify: found in what we wrote, also after it was saved again."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from simswap import SwapOptions
from simswap.__main__ import main
from simswap.demo.look import report as report_card
from simswap.media import decoding, photos
from simswap.media.photos import write_photo
from simswap.verify.report import Report, details, headline, look_for_watermark, verify
from simswap.verify.watermark import FoundWatermark
from simswap.video.output.writing import Encoding
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_chosen
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import SHORT_SEGMENTS
from tests.support.media.video_files import make_video, rewrite

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swapped(swapper, astronaut, grace_hopper) -> np.ndarray:
    """The admiral's face in the astronaut's portrait."""
    return swapper.swap_image(astronaut, swapper.identity_of(grace_hopper)).image


def examined(path, swapper):
    return look_for_watermark(verify(path), path, swapper)


def test_a_photo_that_lost_its_metadata_is_known_by_its_pixels(swapper, swapped, tmp_path):
    path = tmp_path / "again.jpg"
    Image.fromarray(swapped).save(path, quality=75)
    report = examined(path, swapper)
    assert (report.credentials, report.label) == (None, None)
    assert report.verdict == "marked"
    assert report.watermark.model == swapper.name
    assert report.watermark.false_positive <= 1e-6
    said = "\n".join([headline(report), *details(report)])
    assert "Marked as synthetic: a watermark in this photo says" in said
    assert "Watermark: found, of “simswap-lite-128”. Faces without one read so by" in said


@pytest.mark.parametrize("name", ["astronaut.jpg", "grace_hopper.jpg", "two_portraits.jpg"])
def test_photos_of_nobodys_making_have_none(swapper, name):
    report = examined(EXAMPLES / name, swapper)
    assert (report.verdict, report.watermark.is_found) == ("unmarked", False)
    assert "Watermark: none found." in "\n".join(details(report))
    assert "does not prove" in headline(report)


def pictures(swapped: np.ndarray) -> list[Image.Image]:
    """A clean picture, a swapped one, and another clean one."""
    size = swapped.shape[1::-1]
    grey, green = (Image.new("RGB", size, colour) for colour in ("grey", "green"))
    return [grey, Image.fromarray(swapped), green]


@pytest.mark.parametrize(
    ("name", "how", "found"),
    [
        ("out.webp", {"duration": [1, 99, 99], "quality": 90}, "1 of 3 pictures looked at"),
        ("out.png", {"duration": [1, 99, 99]}, "1 of 3 pictures looked at"),
        ("out.jpg", {"format": "MPO"}, "1 of"),  # Pillow loses the last picture that it writes
    ],
)
def test_a_clean_first_picture_does_not_hide_the_others(
    swapper, swapped, tmp_path, name, how, found
):
    first, *rest = pictures(swapped)
    first.save(tmp_path / name, save_all=True, append_images=rest, **how)
    report = examined(tmp_path / name, swapper)
    assert report.watermark.is_marked[:2] == (False, True)
    assert f"Watermark: found in {found}" in "\n".join(details(report))


def test_a_gif_is_looked_at_like_a_video(tiny_swapper, tmp_path):
    many = [Image.new("RGB", (32, 32), (9 * number, 0, 0)) for number in range(14)]
    many[0].save(tmp_path / "out.gif", save_all=True, append_images=many[1:], duration=40)
    assert "in any of 12 frames looked at (14 in the file)" in "\n".join(
        details(examined(tmp_path / "out.gif", tiny_swapper))
    )


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_each_picture_of_an_animation_that_was_made_here_carries_it(
    swapper, swapped, tmp_path, format
):
    first, second = (Image.fromarray(np.roll(swapped, shift, axis=1)) for shift in (0, 9))
    first.save(tmp_path / "in.webp", save_all=True, append_images=[second], lossless=True)
    rewrite(tmp_path / "in.webp", tmp_path / f"out.{format}", Encoding(format))
    assert examined(tmp_path / f"out.{format}", swapper).watermark.is_marked == (True, True)


def test_of_many_pictures_it_says_how_many_were_looked_at(tiny_swapper, tmp_path):
    many = [Image.new("RGB", (32, 32), (number, 0, 0)) for number in range(40)]
    many[0].save(tmp_path / "many.webp", save_all=True, append_images=many[1:], lossless=True)
    report = examined(tmp_path / "many.webp", tiny_swapper)
    assert (len(report.watermark.seconds), report.watermark.num_pictures) == (12, 40)
    assert "in any of 12 pictures looked at (40 in the file)" in "\n".join(details(report))


def test_of_a_long_and_large_animation_only_the_beginning_is_decoded(tmp_path, monkeypatch):
    many = [Image.new("RGB", (64, 64), (number, 0, 0)) for number in range(40)]
    many[0].save(tmp_path / "many.webp", save_all=True, append_images=many[1:], lossless=True)
    monkeypatch.setattr(decoding, "MAX_SERIES_PIXELS", 64 * 64 * 5)
    reds = [image[0, 0, 0] for image, _ in photos.read_pictures(tmp_path / "many.webp", 12)]
    assert reds == [0, 1, 2, 3, 4]


def test_pictures_that_are_not_there_are_left_out(swapper, swapped, tmp_path):
    first, *rest = pictures(swapped)
    first.save(tmp_path / "out.png", save_all=True, append_images=rest)
    content = (tmp_path / "out.png").read_bytes()
    (tmp_path / "out.png").write_bytes(content[: content.rindex(b"fcTL") - 4])
    report = examined(tmp_path / "out.png", swapper)
    assert (len(report.watermark.seconds), report.watermark.num_pictures) == (2, 3)
    assert "found in 1 of 2 pictures looked at (3 in the file)" in "\n".join(details(report))


def test_an_altered_file_still_has_its_invisible_mark(swapper, swapped, tmp_path):
    write_photo(tmp_path / "out.jpg", swapped, model=swapper.name)
    content = (tmp_path / "out.jpg").read_bytes()
    (tmp_path / "out.jpg").write_bytes(content.replace(b"trained model", b"steady hand  ", 1))
    report = examined(tmp_path / "out.jpg", swapper)
    assert report.verdict == "altered"
    assert report.watermark.is_found


def test_a_mark_of_a_model_that_nobody_named_shows_its_number(swapper, swapped, tmp_path):
    Image.fromarray(swapped).save(tmp_path / "out.png")

    class OtherModel:
        name = "another-model"
        read_watermarks = staticmethod(swapper.read_watermarks)

    report = examined(tmp_path / "out.png", OtherModel())
    assert report.watermark.model is None
    assert f"number {report.watermark.model_id}" in "\n".join(details(report))


def test_a_photo_that_cannot_be_decoded_is_told(swapper, swapped, tmp_path):
    write_photo(tmp_path / "out.jpg", swapped, model=swapper.name)
    (tmp_path / "out.jpg").write_bytes((tmp_path / "out.jpg").read_bytes()[:-2000])
    report = examined(tmp_path / "out.jpg", swapper)
    assert report.watermark is None
    assert "damaged" in "\n".join(details(report))


@pytest.mark.slow
def test_a_videos_timeline_shows_where_faces_were_swapped(
    swapper, astronaut, grace_hopper, tmp_path
):
    near = cv2.resize(astronaut[:256, 96:352], (512, 512))  # a small face's would be at the limit

    def picture(number: int, width: int, height: int) -> np.ndarray:
        return near if number < 6 else np.full_like(near, 90)

    plain = make_video(tmp_path / "in.mp4", num_frames=12, size=(512, 512), picture=picture)
    identity = swapper.identity_of(grace_hopper)
    swapper.swap_video(plain, tmp_path / "out.mp4", identity, video=SHORT_SEGMENTS)
    rewrite(tmp_path / "out.mp4", tmp_path / "bare.mp4")
    report = examined(tmp_path / "bare.mp4", swapper)
    assert (report.verdict, report.kind) == ("marked", "video")
    marked = report.watermark.is_marked
    assert len(marked) == 12
    assert sum(marked[:6]) >= 5
    assert not any(marked[6:])
    assert f"found in {sum(marked)} of 12 frames looked at" in "\n".join(details(report))
    shown = report_card.show(report)
    assert shown.count('class="found"') == sum(marked)
    assert "0.0 s" in shown


def test_a_plain_video_has_none(swapper, face_clip):
    report = examined(face_clip, swapper)
    assert (report.verdict, any(report.watermark.is_marked)) == ("unmarked", False)
    assert "none found in any of 12 frames looked at" in "\n".join(details(report))


class PatientReader:
    """Finds nothing; takes one of the seconds that the search may take for each picture."""

    name = "patient"

    def __init__(self, seconds: int):
        self.seconds_left = seconds

    def read_watermarks(self, photo: np.ndarray) -> list:
        self.seconds_left -= 1
        return []

    def is_over(self) -> bool:
        return self.seconds_left <= 0


def looked_at(path, seconds: int) -> Report:
    reader = PatientReader(seconds)
    return look_for_watermark(verify(path), path, reader, is_over=reader.is_over)


@pytest.mark.parametrize(("seconds", "count"), [(-1, 1), (4, 4), (99, 12)])
@pytest.mark.parametrize("name", ["in.mp4", "in.avi", "in.gif", "in.webp"])
def test_pictures_are_looked_at_until_the_time_is_up(tmp_path, name, seconds, count):
    path = tmp_path / name
    if name.endswith((".gif", ".webp")):
        many = [Image.new("RGB", (32, 32), (6 * number, 0, 0)) for number in range(40)]
        many[0].save(path, save_all=True, append_images=many[1:], duration=40)
    else:
        make_video(path, num_frames=40, sound=None)
    report = looked_at(path, seconds)
    what = "pictures" if name == "in.webp" else "frames"
    told = f"in any of {count} {what} looked at (40 in the file)"
    assert told in "\n".join(details(report))


def test_in_the_time_that_it_has_it_looks_all_over_a_video(tmp_path):
    path = make_video(tmp_path / "in.mp4", num_frames=40, sound=None)
    times = looked_at(path, 3).watermark.seconds
    every = looked_at(path, 99).watermark.seconds
    assert times == every[::4]
    assert list(every) == sorted(every)


def test_a_process_that_decodes_towards_the_next_picture_is_ended_when_the_time_is_up(tmp_path):
    path = make_video(tmp_path / "in.mp4", num_frames=40, sound=None)
    looked = [frame for frame in read_chosen(probe_video(path), [0, 39], lambda: True)]
    assert len(looked) <= 1


def test_the_odds_are_told_as_a_power_of_ten():
    found = FoundWatermark((0.0,), 1, (True,), "00000001", None, 3.2e-10)
    assert found.odds == "at most once in 10^9"
    assert replace(found, false_positive=0.0).odds == "at most once in 10^300"


def test_the_shell_finds_it_too(swapped, tmp_path, capsys):
    Image.fromarray(swapped).save(tmp_path / "out.webp", quality=90)
    assert main(["verify", str(tmp_path / "out.webp"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["watermark"]["model"] == "simswap-lite-128"
    assert main(["verify", str(tmp_path / "out.webp"), "--metadata-only"]) == 1


def test_an_unmarked_swap_has_none(swapper, astronaut, grace_hopper, tmp_path):
    identity = swapper.identity_of(grace_hopper)
    image = swapper.swap_image(astronaut, identity, SwapOptions(watermark=False)).image
    Image.fromarray(image).save(tmp_path / "out.png")
    assert not examined(tmp_path / "out.png", swapper).watermark.is_found


def test_of_a_large_animation_the_first_picture_is_looked_at(tmp_path, monkeypatch):
    pictures = [Image.new("RGB", (64, 64), (red, 0, 0)) for red in (0, 100, 200)]
    pictures[0].save(tmp_path / "large.webp", save_all=True, append_images=pictures[1:])
    monkeypatch.setattr(decoding, "MAX_CANVAS_PIXELS", 64 * 64 - 1)
    assert [count for _, count in photos.read_pictures(tmp_path / "large.webp", 12)] == [3]


def test_of_many_large_jpegs_in_a_file_the_first_ones_are_looked_at(tmp_path, monkeypatch):
    pictures = [Image.new("RGB", (64, 64), (red, 0, 0)) for red in range(0, 200, 20)]
    pictures[0].save(tmp_path / "many.mpo", save_all=True, append_images=pictures[1:])
    monkeypatch.setattr(decoding, "MAX_SERIES_PIXELS", 64 * 64 * 3)
    assert [count for _, count in photos.read_pictures(tmp_path / "many.mpo", 12)] == [10] * 3
