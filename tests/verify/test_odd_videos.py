"""Videos of which players might show what Verify does not look at are not called unmarked."""

import av
import numpy as np
import pytest

from simswap.verify.report import details, headline, look_for_watermark, verify

pytestmark = pytest.mark.slow


def write(path, sizes, num_frames=8):
    """A WebM with a film for each size."""
    with av.open(str(path), "w") as container:
        films = [container.add_stream("libvpx-vp9", rate=10) for _ in sizes]
        for film, (width, height) in zip(films, sizes, strict=True):
            film.width, film.height, film.pix_fmt = width, height, "yuv420p"
            film.options = {"cpu-used": "8", "deadline": "realtime"}
        for _ in range(num_frames):
            for film, (width, height) in zip(films, sizes, strict=True):
                frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8))
                container.mux(film.encode(frame.reformat(format="yuv420p")))
        for film in films:
            container.mux(film.encode())
    return path


def looked_at(path, swapper):
    return look_for_watermark(verify(path), path, swapper)


def test_an_ordinary_video_is_unmarked(tmp_path, quick_swapper):
    report = looked_at(write(tmp_path / "one.webm", [(160, 120)]), quick_swapper)
    assert report.verdict == "unmarked"


def test_a_second_film_is_told(tmp_path, quick_swapper):
    report = looked_at(write(tmp_path / "two.webm", [(64, 64), (160, 120)]), quick_swapper)
    assert report.verdict == "unchecked"
    assert "There is more in it, so it may have one" in headline(report)
    assert any("holds 2 films, of which one was looked at" in line for line in details(report))


def test_frames_that_are_looked_at_in_another_size_are_told(tmp_path, quick_swapper):
    small, large = (
        write(tmp_path / f"{side}.webm", [(side, side)], num_frames=4) for side in (64, 160)
    )
    with (
        av.open(str(tmp_path / "both.webm"), "w") as both,
        av.open(str(small)) as first,
        av.open(str(large)) as second,
    ):
        film = both.add_stream_from_template(second.streams.video[0])
        for number, container in enumerate((first, second)):
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = film
                    packet.pts += number * 400
                    packet.dts = packet.pts
                    both.mux(packet)
    report = looked_at(tmp_path / "both.webm", quick_swapper)
    assert (report.verdict, report.watermark.num_odd > 0) == ("unchecked", True)
    assert any("frames could not be looked at" in line for line in details(report))
