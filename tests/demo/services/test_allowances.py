"""What the photos of one call take together is limited, and large ones are read call by call."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import gradio as gr
import pytest
from PIL import Image

from simswap.demo import memory_room
from simswap.demo.calls.page import Page
from simswap.demo.services import allowances, cancelling, photos
from simswap.demo.services.uploads import read_upload
from simswap.errors import CrowdedError, MediaError
from simswap.media import allowance
from simswap.media.decoding import decode_series
from simswap.swap.threads import made_ahead
from simswap.video.source.limits import usual_memory
from tests.support.media.small_photos import PIXELS, written

pytestmark = pytest.mark.usefixtures("folder")


def test_photos_of_more_pixels_together_than_a_call_may_have_are_refused(folder, monkeypatch):
    monkeypatch.setattr(allowances, "CALL_PIXELS", 2 * PIXELS)
    paths = [written(folder, f"{number}.png") for number in range(3)]
    with allowances.one_call(), pytest.raises(MediaError, match=r"With 2\.png .* use fewer"):
        photos.read_sources(paths)
    with allowances.one_call():  # the next call has its own
        photos.read_sources(paths[:2])


def test_a_photo_that_is_named_twice_in_a_call_is_read_once(folder, monkeypatch):
    monkeypatch.setattr(allowances, "CALL_PIXELS", PIXELS)
    path = written(folder, "one.png")
    with allowances.one_call():
        assert [len(photo.image) for photo in photos.read_sources([path] * 8)] == [64] * 8


def test_after_avifs_that_took_all_the_time_of_a_call_none_is_read(folder):
    paths = [written(folder, f"{number}.avif") for number in range(2)]
    with allowances.one_call():
        read_upload(paths[0])
        allowance.spend(allowances.CALL_SECONDS)
        with pytest.raises(MediaError, match=r"before 1\.avif .* JPEG or PNG"):
            read_upload(paths[1])


@pytest.mark.usefixtures("cold_trials")
def test_one_avif_may_take_a_part_of_the_time(folder, monkeypatch):
    monkeypatch.setattr(allowances, "PHOTO_SECONDS", 0.01)
    with allowances.one_call(), pytest.raises(MediaError, match="takes too much time"):
        read_upload(written(folder, "one.avif"))


@pytest.mark.usefixtures("cold_trials")
def test_time_of_a_child_process_counts(folder):
    with allowances.one_call():
        read_upload(written(folder, "one.avif"))
        assert 0.05 < allowances.CALL_SECONDS - allowance.OF_CALL.get().seconds < 5


@pytest.mark.parametrize("count", [1, 2])
def test_an_avif_waits_while_others_hold_all_the_memory_for_reading(folder, count):
    path, read = written(folder, "one.avif"), []

    def work() -> None:
        with allowances.one_call():
            read.append(read_upload(path))

    waiting = threading.Thread(target=work)
    with allowances.one_call(), ExitStack() as others:
        for _ in range(count):
            others.enter_context(allowance.place(allowances.ROOM_BYTES // count))
        waiting.start()
        waiting.join(0.5)
        assert not read
    waiting.join(20)
    assert read


def test_each_call_of_the_page_has_an_allowance_of_its_own():
    seen = []
    with Page() as page:
        gr.Button().click(lambda: seen.append(allowance.OF_CALL.get()))
    for _ in range(2):
        asyncio.run(page.process_api(page.fns[0], []))
    assert None not in seen
    assert seen[0] is not seen[1]


def test_a_large_photo_waits_until_another_calls_large_photos_are_done_with(busy):
    path, may_end = busy
    read = []

    def work() -> None:
        with allowances.one_call():
            read.append(read_upload(path))

    waiting = threading.Thread(target=work)
    waiting.start()
    waiting.join(0.3)
    assert not read
    may_end.set()
    waiting.join(20)
    assert read


def test_a_call_that_goes_on_may_end_its_turn(folder, monkeypatch):
    monkeypatch.setattr(allowance, "LARGE", PIXELS - 1)
    monkeypatch.setattr(memory_room, "PATIENCE", 0.0)
    path = written(folder, "large.png")
    with allowances.one_call():
        read_upload(path)
        with pytest.raises(MediaError, match="Try again in a minute"), allowances.one_call():
            read_upload(path)
        allowance.end_turn()
        with allowances.one_call():
            read_upload(path)
        assert allowances._room._held == 0
        with allowance.place(10):
            assert allowances._room._held == 10


def test_a_photo_of_ordinary_size_does_not_wait(busy, folder, monkeypatch):
    monkeypatch.setattr(allowance, "LARGE", PIXELS)
    with allowances.one_call():
        read_upload(busy[0])


def test_a_call_that_waits_for_its_turn_ends_when_it_is_cancelled(busy):
    async def run() -> None:
        with allowances.one_call():
            call = asyncio.create_task(
                cancelling.until_it_ends(asyncio.to_thread(read_upload, busy[0]))
            )
            await asyncio.sleep(0.2)
            call.cancel()
            await asyncio.wait_for(asyncio.wait([call]), 5)
            assert call.cancelled()

    asyncio.run(run())


def test_a_call_with_a_large_photo_waits_for_no_place_that_might_wait_for_it(busy):
    path, may_end = busy
    read = []

    def work() -> None:
        with allowances.one_call():
            read_upload(path)
            with allowance.place(allowances.ROOM_BYTES):
                read.append(True)

    may_end.set()
    waiting = threading.Thread(target=work)
    waiting.start()
    waiting.join(20)
    assert read


def test_a_file_of_many_bytes_waits_as_a_photo_of_many_pixels_does(busy, folder, monkeypatch):
    monkeypatch.setattr(allowance, "LARGE", PIXELS)
    monkeypatch.setattr(allowance, "LARGE_FILE", 10)
    read = []

    def work() -> None:
        with allowances.one_call():
            read.append(read_upload(written(folder, "other.png")))

    waiting = threading.Thread(target=work)
    waiting.start()
    waiting.join(0.3)
    assert not read
    busy[1].set()
    waiting.join(20)
    assert read


def test_what_a_thread_of_a_call_reads_ahead_takes_of_the_calls_room(monkeypatch):
    def seen() -> Iterator[object]:
        yield allowance.OF_CALL.get()

    with allowances.one_call(), made_ahead(seen(), 1) as items:
        assert list(items) == [allowance.OF_CALL.get()] != [None]


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_where_there_is_no_room_a_file_of_several_pictures_gives_its_turn_back(
    folder, monkeypatch, kind
):
    pictures = [Image.new("RGB", (64, 64), (90 * n, 0, 0)) for n in range(3)]
    stream = io.BytesIO()
    if kind == "JPEG":
        for picture in pictures:
            picture.save(stream, kind)
    else:
        pictures[0].save(stream, kind, save_all=True, append_images=pictures[1:])
    assert len(list(decode_series(stream.getvalue(), "several", 9))) == 3
    monkeypatch.setattr(allowance, "LARGE", PIXELS - 1)
    monkeypatch.setattr(memory_room, "PATIENCE", 0.0)
    monkeypatch.setattr(memory_room, "MOST_PATIENCE", 0.0)
    with allowances.one_call(), allowance.place(allowances.ROOM_BYTES):
        with allowances.one_call(), pytest.raises(CrowdedError):
            list(decode_series(stream.getvalue(), "several", 9))
        assert not allowances._room._is_turn_taken


def test_beside_the_largest_photo_and_a_video_there_is_room_to_read_a_small_file():
    with allowances.one_call():
        allowance.OF_CALL.get().take_turn(10**9)
        held = allowances._room._held
        assert held + usual_memory(1920 * 1080) + usual_memory(0) <= allowances.ROOM_BYTES
        allowance.OF_CALL.get().take_turn(2 * 10**9)
        assert allowances._room._held == held
    assert allowances._room._held == 0
