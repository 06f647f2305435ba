"""Videos of every kind, made on the spot; each frame carries its number in its picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer

from simswap.video.output.joining import join_segments
from simswap.video.output.writing import Encoding, SegmentWriter
from simswap.video.source.info import VideoInfo, probe_video
from simswap.video.source.reading import read_frames

NUM_BITS = 8
SOUND_RATE = 48000


def numbered_frame(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """uint8 [H, W, 3] RGB: the number in black and white bars above a moving colour gradient."""
    rows, columns = np.arange(height)[:, None], np.arange(width)
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = 60 + columns * 120 // width
    image[..., 1] = 60 + rows * 120 // height
    image[..., 2] = 90 + (number * 3) % 90
    bars = (number >> (columns * NUM_BITS // width)) & 1
    image[: height // 2] = np.where(bars == 1, 235, 16)[None, :, None]
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a numbered frame carries, read from its picture."""
    height, width = image.shape[:2]
    columns = (np.arange(NUM_BITS) * 2 + 1) * width // (2 * NUM_BITS)
    bars = image[height // 4, columns].mean(axis=-1) > 128
    return int((bars << np.arange(NUM_BITS)).sum())


@dataclass(frozen=True)
class Recipe:
    """What a video is made of. times: of each frame, in units of time_base.

    colour: matrix, range, primaries, transfer. sound: seconds of it, None for none. picture: the
    frame of a number, width and height.
    """

    num_frames: int = 30
    size: tuple[int, int] = (96, 64)  # width, height as stored
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    time_base: Fraction = Fraction(1, 30)
    times: Sequence[int] | None = None
    rotation: int = 0
    matrix: tuple[int, int, int, int] | None = None  # a b c d of the display matrix
    aspect: Fraction = Fraction(1)  # of a pixel
    colour: tuple[int, int, int, int] | None = None
    sound: float | None = 1.0
    sound_codec: str = "aac"
    sound_start: float = 0.0
    interlaced: bool = False
    picture: Callable[[int, int, int], np.ndarray] = numbered_frame
    options: dict[str, str] = field(default_factory=dict)
    container_options: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def frame_times(self) -> list[int]:
        return list(range(self.num_frames)) if self.times is None else list(self.times)


def make_video(path: Path, recipe: Recipe | None = None, **changes: object) -> Path:
    """Write the video of a recipe to `path`, whose ending says the container."""
    recipe = Recipe(**changes) if recipe is None else recipe
    with av.open(str(path), "w", options=dict(recipe.container_options)) as container:
        container.metadata.update(recipe.tags)
        stream = _add_pictures(container, recipe)
        sound = None
        if recipe.sound is not None:
            sound = container.add_stream(recipe.sound_codec, rate=SOUND_RATE)
            sound.layout = "mono"
        for number, time in enumerate(recipe.frame_times()):
            frame = _frame(number, recipe)
            frame.pts, frame.time_base = time, recipe.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            _write_sound(container, sound, recipe)
    if recipe.codec == "libsvtav1" and hasattr(os, "sched_setscheduler"):
        # Run by root, this encoder makes the thread that calls it a real-time one, and so all that
        # the tests start from then on, which starves whatever else runs here.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return path


def _add_pictures(container: OutputContainer, recipe: Recipe):
    rate = (1 / recipe.time_base).limit_denominator(1001)
    options = dict(recipe.options)
    if recipe.codec == "libx265":
        options = {"x265-params": "log-level=none:pools=1:frame-threads=1", **options}
    stream = container.add_stream(recipe.codec, rate=min(rate, Fraction(60)), options=options)
    stream.width, stream.height = recipe.size
    stream.pix_fmt = recipe.pix_fmt
    stream.codec_context.time_base = recipe.time_base
    stream.codec_context.thread_count = 1
    stream.codec_context.sample_aspect_ratio = recipe.aspect
    if recipe.rotation:
        stream.set_display_rotation(recipe.rotation)
    if recipe.matrix:
        a, b, c, d = (value << 16 for value in recipe.matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    if recipe.colour:
        context = stream.codec_context
        context.colorspace, context.color_range = recipe.colour[:2]
        context.color_primaries, context.color_trc = recipe.colour[2:]
    if recipe.interlaced:
        stream.codec_context.options = {**options, "flags": "+ildct+ilme", "x264-params": "tff=1"}
    return stream


def _frame(number: int, recipe: Recipe) -> av.VideoFrame:
    image = recipe.picture(number, *recipe.size)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    matrix, value = (recipe.colour or (6, 1))[:2]
    matrix = {1: 1, 9: 9}.get(matrix, 5)
    if recipe.pix_fmt in ("rgb8", "bgr8", "pal8"):
        return frame.reformat(format=recipe.pix_fmt)
    return frame.reformat(
        format=recipe.pix_fmt,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=2,
        dst_color_range=value or 1,
    )


def _write_sound(container: OutputContainer, stream, recipe: Recipe) -> None:
    num_samples = int(recipe.sound * SOUND_RATE)
    seconds = np.arange(num_samples) / SOUND_RATE
    wave = (np.sin(2 * np.pi * (300 + 200 * seconds) * seconds) * 8000).astype(np.int16)
    start = int(recipe.sound_start * SOUND_RATE)
    for begin in range(0, num_samples, 960):
        frame = av.AudioFrame.from_ndarray(
            wave[None, begin : begin + 960], format="s16", layout="mono"
        )
        frame.sample_rate = SOUND_RATE
        frame.pts, frame.time_base = start + begin, Fraction(1, SOUND_RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def sound_packets(path: Path) -> list[tuple[float, bytes]]:
    """Time in seconds and bytes of each packet of a file's sound."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        stream = container.streams.audio[0]
        packets = (packet for packet in container.demux(stream) if packet.size)
        return [(float(packet.pts * stream.time_base), bytes(packet)) for packet in packets]


def same_but_for_the_signature(one: Path, other: Path) -> bool:
    """Whether two videos are the same to the byte, outside of the box that holds the signature.

    Signatures have one length, so all that stands behind them is at the same place too.
    """
    boxes = [_boxes_of(path) for path in (one, other)]
    assert all(b"c2pa" in found.pop("uuid") for found in boxes)
    return boxes[0] == boxes[1] and one.stat().st_size == other.stat().st_size


def _boxes_of(path: Path) -> dict[str, bytes]:
    """The outermost boxes of an MP4, by kind."""
    content, boxes, start = path.read_bytes(), {}, 0
    while start < len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        assert length >= 8, "boxes of this kind of length are not made here"
        boxes[content[start + 4 : start + 8].decode()] = content[start : start + length]
        start += length
    return boxes


def frame_seconds(path: Path) -> np.ndarray:
    """When each frame is shown, in the file's own seconds, found by decoding, [N] float64."""
    with av.open(str(path)) as container:
        return np.array([float(frame.pts * frame.time_base) for frame in container.decode(video=0)])


def decoded(path: Path) -> list[np.ndarray]:
    """All frames, through the project's own reader."""
    info = probe_video(path)
    return list(read_frames(info, 0, info.num_frames))


def rewrite(
    source: Path | VideoInfo,
    output: Path,
    encoding: Encoding | None = None,
    *,
    span: tuple[int, int] | None = None,
    cut: int = 12,
    metadata: dict[str, str] | None = None,
) -> tuple[str, ...]:
    """Read a video, write it unchanged in segments of `cut` frames, and join them."""
    info = source if isinstance(source, VideoInfo) else probe_video(source)
    encoding = encoding or Encoding()
    first, end = span or (0, info.num_frames)
    segments = []
    for start in range(first, end, cut):
        segments.append(output.with_name(f"segment-{start}.nut"))
        with SegmentWriter(segments[-1], info, encoding, start) as writer:
            for image in read_frames(info, start, min(start + cut, end)):
                writer.write(image)
    return join_segments(segments, info, first, end, encoding, output, metadata=metadata or {})


def growing(path: Path, codec: str, sizes: tuple[int, ...], interlaced: bool = False) -> Path:
    """A video whose frames change their size; each of `sizes` is the side of one frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width = stream.height = sizes[0]
        stream.pix_fmt = "yuv420p"
        for number, side in enumerate(sizes):
            encoder = av.CodecContext.create(codec, "w")
            encoder.width = encoder.height = side
            encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 30)
            if interlaced:
                encoder.options = {"flags": "+ildct+ilme"}
            frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8))
            frame.pts = 0
            for packet in [*encoder.encode(frame), *encoder.encode()]:
                packet.stream, packet.pts, packet.dts = stream, number, number
                packet.time_base = Fraction(1, 30)
                container.mux(packet)
    return path
