"""Video files that claim more than they hold, or cost more than their pictures do."""

import struct
import tracemalloc

import av
import numpy as np
import pytest

from simswap.errors import MediaError
from simswap.video.metadata_label import read_video_label
from simswap.video.source.container import naming_damage, opened
from simswap.video.source.decoding.frame_reader import ChosenFrames
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from simswap.video.source.reading import read_chosen, read_frames
from simswap.video.source.structure import gif as gif_structure
from simswap.video.source.structure.kinds import check_structure
from simswap.video.source.structure.mp4 import MAX_SAMPLES
from tests.support.media.mp4_boxes import START, box, groups, samples, sizes, table, track
from tests.support.media.video_files import make_video

MANY = 20_000_000  # samples; more than a day has
PLAIN_SOUND = (table(b"stts", 1, 10, 1), table(b"stsz", 4, 10))
CLAIMS = {
    "samples of one size": box(b"moov", samples(MANY)),
    "samples of several tracks": box(b"moov", samples(MAX_SAMPLES // 4) * 5),
    "compact sizes": box(b"moov", track(table(b"stz2", 4, MANY))),
    "a box of 64 bits": struct.pack(">I4sQ", 1, b"moov", 16 + len(samples(MANY))) + samples(MANY),
    "a box to the end": b"\0\0\0\0moov" + samples(MANY),
    "a box in an odd place": box(b"moov", box(b"udta", box(b"edts", samples(MANY)))),
    "a box hidden in a free one": box(b"free", box(b"mvhd"), samples(MANY)),
    "tables beside the headers": box(b"moov", samples(10)) + box(b"stbl", sizes(MANY)),
    "pieces of sound": box(
        b"moov",
        track(*PLAIN_SOUND, table(b"stsc", 1, 1, 2**31 - 1, 1), table(b"stco", 9), kind=b"soun"),
    ),
    "sound with an order": box(
        b"moov", track(table(b"stts", 1, 9, 1), table(b"ctts", 1), sizes(MANY), kind=b"soun")
    ),
    "edits that repeat": box(b"moov", track(sizes(100_000), table(b"elst", 3000))),
    "groups": box(b"moov", track(sizes(10), groups(2**30))),
    "a fragment": box(b"moof", box(b"traf", table(b"trun", 100_000_000))),
    "fragments": box(b"moof", box(b"traf", table(b"trun", 1_000_000))) * 6,
    "an index of fragments": box(b"mfra", table(b"tfra", 1, 0, 10_000_000)),
    "an index of segments": box(b"sidx", bytes(22), b"\xff\xff") * 100,
    "compressed headers": box(b"moov", box(b"cmov", bytes(40))),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_mp4_that_claims_more_than_a_day_holds_is_refused_unopened(tmp_path, claim):
    (tmp_path / "claim.mp4").write_bytes(START + box(b"mdat", bytes(64)) + CLAIMS[claim])
    with pytest.raises(MediaError, match=r"claim\.mp4 (claims more|has compressed)"):
        check_structure(tmp_path / "claim.mp4")


def test_verifying_refuses_such_a_file_too(tmp_path):
    (tmp_path / "claim.mp4").write_bytes(START + CLAIMS["samples of one size"])
    with pytest.raises(MediaError, match="claims more"):
        read_video_label(tmp_path / "claim.mp4")


def runs(count: int) -> bytes:
    """What looks like a table of runs of chunks, and takes all that follows for its own."""
    return b"stsc" + struct.pack(">III", 0, count, 0)


NAMES = {
    "tables that share their bytes": runs(2**28) * 20_000,
    "groups that share their bytes": (b"sbgp" + struct.pack(">4xIII", 0, 2**28, 0)) * 20_000,
    "tracks": b"trak" * 100_000,
    "handlers": b"".join(b"hdlr" + struct.pack(">II", 0, n) for n in range(60_000)),
}


@pytest.mark.parametrize("names", NAMES)
def test_names_of_tables_cost_no_more_than_the_file_has_bytes(tmp_path, monkeypatch, names):
    monkeypatch.setattr("simswap.video.source.structure.mp4.MAX_NAMES", 50_000)  # a tenth
    path = tmp_path / "names.mp4"
    path.write_bytes(START + box(b"moov", box(b"free", NAMES[names])))
    tracemalloc.start()
    with pytest.raises(MediaError, match="more tables than a video of a day"):
        check_structure(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * path.stat().st_size + 1_000_000


def test_runs_of_sound_are_summed_without_overflow(tmp_path):
    rows = (1, 2**32 - 1, 1, 2**32 - 1, 2**32 - 1, 1) * 2000
    sound = track(*PLAIN_SOUND, table(b"stsc", 4000, *rows), kind=b"soun")
    (tmp_path / "long.mov").write_bytes(START + box(b"moov", sound))
    with pytest.raises(MediaError, match="claims more"):
        check_structure(tmp_path / "long.mov")


def test_hours_of_plain_sound_are_no_claim(tmp_path):
    count = 10 * 3600 * 48_000
    chunks = table(b"stsc", 1, 1, 48_000, 1), table(b"stco", count // 48_000)
    sound = track(table(b"stts", 1, count, 1), table(b"stsz", 4, count), *chunks, kind=b"soun")
    (tmp_path / "long.mov").write_bytes(START + box(b"moov", samples(10 * 3600 * 60), sound))
    check_structure(tmp_path / "long.mov")


TABLES = b"stsz" + b"\xff" * 40 + b"cmov" * 9


@pytest.mark.parametrize("version", [bytes(4), b""])
def test_a_cover_picture_may_hold_any_bytes(tmp_path, version):
    tags = box(b"meta", version, box(b"hdlr", bytes(24)), box(b"ilst", box(b"covr", TABLES)))
    (tmp_path / "film.mp4").write_bytes(START + box(b"moov", samples(10), box(b"udta", tags)))
    check_structure(tmp_path / "film.mp4")


@pytest.mark.parametrize("name", [b"covr", b"\x10\0\0\0covr"])
def test_what_calls_itself_a_cover_elsewhere_hides_no_tables(tmp_path, name):
    moov = box(b"moov", box(b"free", name + bytes(8)), samples(10), TABLES)
    (tmp_path / "film.mp4").write_bytes(START + moov)
    with pytest.raises(MediaError, match="compressed headers"):
        check_structure(tmp_path / "film.mp4")


def test_a_table_whose_size_looks_like_a_name_is_counted(tmp_path):
    sizes = struct.pack(">I4s3I", 0x7374, b"stsz", 0, 1, 2**31).ljust(0x7374, b"\0")
    (tmp_path / "film.mp4").write_bytes(START + box(b"moov", track(sizes)))
    with pytest.raises(MediaError, match="claims more"):
        check_structure(tmp_path / "film.mp4")


# GIF and other files that are decoded to find their frames


def gif(width: int, height: int, num_frames: int) -> bytes:
    """Frames of one pixel on a canvas of any size."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + frame * num_frames + b";"


def test_a_gif_of_many_pictures_on_a_large_canvas_is_refused_undecoded(tmp_path):
    (tmp_path / "many.gif").write_bytes(gif(8192, 4608, 200))
    with pytest.raises(MediaError, match="so many pictures of 8192x4608"):
        check_structure(tmp_path / "many.gif", 3_000_000_000)


def test_a_gif_of_very_many_pieces_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gif_structure, "MAX_GIF_STEPS", 1000)
    (tmp_path / "pieces.gif").write_bytes(
        gif(64, 64, 1)[:-1] + b"\x21\xfe" + b"\1a" * 2000 + b"\0;"
    )
    with pytest.raises(MediaError, match="takes too long"):
        check_structure(tmp_path / "pieces.gif", 3_000_000_000)


def test_what_is_decoded_to_be_listed_is_counted_in_pixels(tmp_path):
    path = make_video(tmp_path / "old.avi", codec="libx264", sound=None)
    limits = VideoLimits(max_decoded=10 * 96 * 64)
    with pytest.raises(MediaError, match=r"has to be decoded .* too many of 96x64"):
        look_through(path, limits)


class CountingReader:
    """Takes note of the frames that it gets."""

    name = "counting"

    def __init__(self):
        self.num_frames = 0

    def read_watermarks(self, photo):
        self.num_frames += 1
        return []


def test_pictures_of_a_gif_come_from_one_pass(tmp_path, monkeypatch):
    path, openings = make_video(tmp_path / "a.gif", codec="gif", pix_fmt="rgb8", sound=None), []
    info = look_through(path, VideoLimits())
    monkeypatch.setattr(
        "simswap.video.source.decoding.frame_reader.opened",
        lambda *given: openings.append(given) or opened(*given),
    )
    assert len(list(ChosenFrames(info, [0, 3, 7, 29]))) == 4
    assert len(openings) == 1


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"), [("a.gif", "gif", "rgb8"), ("b.mp4", "libx264", "yuv420p")]
)
def test_chosen_frames_are_those_that_a_whole_reading_gives(tmp_path, name, codec, pix_fmt):
    path = make_video(tmp_path / name, codec=codec, pix_fmt=pix_fmt, sound=None)
    info = look_through(path, VideoLimits())
    every, numbers = list(read_frames(info, 0, info.num_frames)), [0, 7, info.num_frames - 1]
    assert np.array_equal(list(read_chosen(info, numbers)), [every[number] for number in numbers])


# Limits before the cost


def test_too_many_frames_are_refused_before_they_are_listed(tmp_path, monkeypatch):
    path = make_video(tmp_path / "long.mp4", sound=None)
    monkeypatch.setattr("simswap.video.source.frame_lists._list_packets", None)
    with pytest.raises(MediaError, match="more than 20 frames"):
        look_through(path, VideoLimits(max_frames=20))


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("zmbv", "bgr0"), ("snow", "yuv420p"), ("cinepak", "rgb24")]
)
def test_a_decoder_that_no_usual_video_needs_is_not_reached(tmp_path, codec, pix_fmt):
    path = make_video(
        tmp_path / "rare.avi", codec=codec, pix_fmt=pix_fmt, sound=None, options={"strict": "-2"}
    )
    with pytest.raises(MediaError, match="a format that is not known here"):
        look_through(path, VideoLimits())


def test_a_container_is_read_by_what_its_first_bytes_say(tmp_path):
    path = make_video(tmp_path / "film.mp4", sound=None)
    (tmp_path / "odd.mp4").write_bytes(b"junk at the start" + path.read_bytes())
    with pytest.raises(MediaError, match="is not a video that can be read"):
        look_through(tmp_path / "odd.mp4", VideoLimits())


# Damage


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (av.error.PermissionError(1, "Operation not permitted"), "is damaged"),
        (av.error.InvalidDataError(1, "Invalid data"), "is damaged"),
        (OverflowError("too large"), "is damaged"),
        (av.error.MemoryError(12, "Cannot allocate memory"), "more memory than there is"),
        (MemoryError(), "more memory than there is"),
    ],
)
def test_whatever_a_library_says_of_a_file_is_a_sentence(tmp_path, error, said):
    with pytest.raises(MediaError, match=said), naming_damage(tmp_path / "film.mp4"):
        raise error


def test_flipped_bits_are_read_or_refused_in_a_sentence(tmp_path):
    whole = make_video(tmp_path / "film.mp4").read_bytes()
    random, path, num_refused = np.random.default_rng(0), tmp_path / "flipped.mp4", 0
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(random.integers(1, 60)):
            data[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(data)
        try:
            check_structure(path)
            info = look_through(path, VideoLimits())
            list(read_frames(info, 0, min(info.num_frames, 3)))
        except MediaError:
            num_refused += 1
    assert 0 < num_refused < 30
