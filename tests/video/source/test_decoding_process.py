"""The process that decodes: the same frames, ended where one takes too much, used again."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext, suppress
from itertools import islice

import numpy as np
import psutil
import pytest

from simswap.errors import CostlyVideoError, CrowdedError, MediaError
from simswap.memory import resident_bytes
from simswap.video.source.decoding import process
from simswap.video.source.decoding.frame_reader import FrameReader
from simswap.video.source.decoding.frames import FrameRequest
from simswap.video.source.info import probe_video
from simswap.video.source.reading import WatchedReader, read_chosen, read_deep_frames, read_frames
from tests.support.hostile.hostile_packets import entries, packed_text, with_chunk, with_packet
from tests.support.media.video_files import make_video

watches = pytest.mark.skipif(resident_bytes() == 0, reason="this system does not tell of memory")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return probe_video(make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=None))


@pytest.fixture
def decoders(monkeypatch):
    """Those that were started."""
    process.end_idle()
    started, start = [], process.start_talking
    monkeypatch.setattr(
        process, "start_talking", lambda module: started.append(start(module)) or started[-1]
    )
    return started


def test_frames_are_those_that_this_process_would_decode(clip):
    assert np.array_equal(list(read_frames(clip, 3, 20)), list(FrameReader(clip, 3, 20)))
    deep = FrameReader(clip, 20, clip.num_frames, is_deep=True)
    assert np.array_equal(list(read_deep_frames(clip, 20)), list(deep))


def test_one_process_decodes_one_stretch_after_another(clip, decoders):
    for first in (0, 7, 3):
        list(read_frames(clip, first, first + 2))
    assert len(list(read_chosen(clip, [4, 9]))) == 2
    with closing(read_frames(clip, 5, 6)) as frames:
        next(frames)
    list(read_frames(clip, 0, 1))
    assert len(decoders) == 1


def test_another_file_gets_another_process(clip, decoders, tmp_path):
    other = probe_video(make_video(tmp_path / "other.mp4", sound=None))
    decoders.clear()
    for info in (clip, clip, other):
        list(read_frames(info, 0, 2))
    assert [decoder.poll() is None for decoder in decoders] == [False, True]


def test_a_process_ends_with_a_reading_that_is_given_up(clip, decoders):
    frames = read_frames(clip, 0, clip.num_frames)
    next(frames)
    frames.close()
    assert decoders[0].returncode is not None
    assert len(list(read_frames(clip, 0, 2))) == 2


def test_a_reading_may_be_given_up_by_any_thread(clip, decoders):
    paused, closed = threading.Event(), threading.Event()

    def is_over() -> bool:  # asked by the thread that watches, too
        if paused.is_set() and not closed.is_set():
            frames.close()
            closed.set()
        return False

    frames = read_chosen(clip, [0, 20], is_over)
    next(frames)
    paused.set()
    assert closed.wait(30)
    assert decoders[0].returncode is not None


def test_a_process_that_has_ended_meanwhile_is_not_asked(clip, decoders):
    list(read_frames(clip, 0, 2))
    decoders[0].kill()
    decoders[0].wait()
    assert len(list(read_frames(clip, 0, 2))) == 2


def test_a_process_that_is_lost_is_told(clip, decoders):
    frames = read_frames(clip, 0, clip.num_frames)
    next(frames)
    decoders[0].kill()
    with pytest.raises(CostlyVideoError, match=r"clip.mp4 takes too much time or memory when"):
        list(frames)


@pytest.mark.parametrize("said", ["", "b'no head'", "HEAD.pack(9, 0, 4)", "HEAD.pack(2, 0, 2001)"])
def test_a_process_that_says_nothing_or_something_else_is_ended(clip, monkeypatch, said):
    process.end_idle()
    talk = f"""
import sys, time
from simswap.video.source.decoding.child import HEAD
sys.stdout.buffer.write({said or "b''"})
sys.stdout.flush()
time.sleep(100)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    monkeypatch.setattr(
        process,
        "start_talking",
        lambda module: subprocess.Popen([sys.executable, "-c", talk], **pipes),
    )
    with pytest.raises(CostlyVideoError, match=r"clip.mp4 takes too much time"):
        list(WatchedReader(FrameRequest(clip, 0, 2, piece_seconds=0.75)))


def test_a_video_is_found_from_any_folder(clip, monkeypatch):
    monkeypatch.chdir(clip.path.parent)
    info = probe_video(clip.path.name)
    assert np.array_equal(list(read_frames(info, 0, 2)), list(read_frames(clip, 0, 2)))


def test_without_a_process_nothing_is_decoded(clip, monkeypatch):
    process.end_idle()

    def refuse(module: str) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(process, "start_talking", refuse)
    told = r"clip.mp4 cannot be read just now, as no process can be started .*Resource temporarily"
    with pytest.raises(MediaError, match=told):
        list(read_frames(clip, 3, 9))


@watches
def test_a_picture_that_takes_much_memory_ends_the_decoding(tmp_path, monkeypatch):
    info = probe_video(with_chunk(tmp_path, b"zTXt", packed_text(200_000_000)))
    monkeypatch.setattr(FrameRequest, "memory", 180_000_000)
    before, frames = resident_bytes(), read_frames(info, 20, info.num_frames)
    with pytest.raises(CostlyVideoError, match=r"zTXt.mov takes too much memory when it is read"):
        list(frames)
    assert resident_bytes() - before < 50_000_000


def test_a_picture_that_takes_long_ends_the_decoding(tmp_path):
    info = probe_video(with_chunk(tmp_path, b"eXIf", entries(1200)))
    frames = WatchedReader(FrameRequest(info, 20, info.num_frames, piece_seconds=0.5))
    assert len(list(islice(frames, 5))) == 5
    with pytest.raises(CostlyVideoError, match=r"eXIf.mov takes too much time when it is read"):
        list(frames)


@pytest.mark.parametrize("number", [0, 20])
def test_a_packet_of_very_many_pictures_takes_no_more_than_any_may(clip, tmp_path, number):
    path = with_packet(clip.path, tmp_path / "many.mp4", number, lambda data: data * 1300)
    info = probe_video(path)
    assert len(list(read_frames(info, 0, info.num_frames))) == clip.num_frames


def test_a_picture_that_takes_long_is_given_up_once_the_caller_says_so(tmp_path):
    info = probe_video(with_chunk(tmp_path, b"eXIf", entries(2000)))
    assert list(read_chosen(info, [25], lambda: True)) == []


LEFT = """
import os, signal, sys, threading, time
from simswap.video.source.decoding import process
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
start = process.start_talking
def told(module):
    child = start(module)
    print(child.pid, flush=True)
    threading.Timer(2.0, os.kill, [os.getpid(), signal.SIGKILL]).start()
    return child
process.start_talking = told
list(read_frames(probe_video(sys.argv[1]), 25, 26))
"""


def test_a_process_ends_soon_after_the_one_that_asked_it(tmp_path):
    hostile = with_chunk(tmp_path, b"eXIf", entries(3000))
    ran = subprocess.run([sys.executable, "-c", LEFT, hostile], capture_output=True, text=True)
    seconds = 0.0
    with suppress(psutil.NoSuchProcess):
        child = psutil.Process(int(ran.stdout))
        while child.status() != psutil.STATUS_ZOMBIE:
            seconds = sum(child.cpu_times()[:2])
            time.sleep(0.05)
    assert ran.returncode == -signal.SIGKILL
    assert seconds < 8  # of the ten that it might take


def test_a_video_for_which_others_leave_no_room_is_not_called_damaged(clip, monkeypatch):
    monkeypatch.setattr(process.allowance, "place", lambda size: nullcontext(lambda held: False))
    monkeypatch.setattr(process, "WATCH_SECONDS", 0.0)
    process.end_idle()
    with pytest.raises(CrowdedError, match="Try again in a minute"):
        list(read_frames(clip, 0, clip.num_frames))


@pytest.mark.parametrize("numbers", [None, (2, 20, 5, 24)])
def test_a_video_that_gave_way_to_others_goes_on_where_it_was(clip, monkeypatch, numbers):
    request = FrameRequest(clip, 3, 23, numbers=numbers)
    expected = [np.array(room.obj) for _, room in process.answers_of(request)]
    places, is_full = [], threading.Event()

    def place(size: int):
        places.append(size)
        is_full.clear()
        return nullcontext(lambda held: not is_full.is_set())

    monkeypatch.setattr(process.allowance, "place", place)
    monkeypatch.setattr(process, "WATCH_SECONDS", 0.001)
    process.end_idle()
    found = []
    for _, room in process.answers_of(request):
        found.append(np.array(room.obj))
        if len(found) == 2 and len(places) == 1:
            is_full.set()
            time.sleep(0.2)
    assert np.array_equal(found, expected)
    assert len(places) == 2
    assert places[1] >= places[0]
