"""What a video loses on its way through the swap, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from av.container import InputContainer
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.video.source.frame_lists import FrameList

_BLOCK = 16  # pixels of brightness a side, and how many of colour they have
_FINER_COLOURS = {(16, 16): "4:4:4", (8, 16): "4:2:2", (16, 8): "4:4:0", (4, 16): "4:1:1"}
TRANSPARENCY = "Transparency is dropped."


def losses_of(
    container: InputContainer,
    frame: VideoFrame,
    frames: FrameList,
    stream: VideoStream,
) -> tuple[str, ...]:
    """What is dropped or changed of a file whatever is made of it.

    frame: the first. stream: that of the pictures.
    """
    found = []
    if frames.is_cut_short:
        seconds = float((frames.end - int(frames.times[0])) * stream.time_base)
        found.append(f"The file is damaged or cut off; the {seconds:.1f} s in it are used.")
    if frame.interlaced_frame:
        found.append("The video is interlaced; it becomes progressive, at the same frame rate.")
    if kind := _finer_colours(frame.format):
        found.append(f"{kind} colour becomes 4:2:0, which players expect.")
    # VP9 has its transparency in a stream of its own, which is not decoded here.
    tags = stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE")
    if "1" in tags or _is_transparent(frame):
        found.append(TRANSPARENCY)
    return (*found, *_lost_tracks(container))


def _lost_tracks(container: InputContainer) -> Iterator[str]:
    count = Counter(stream.type for stream in container.streams)
    # Chapters of an MP4 are a track of this kind too.
    is_list = bool(container.chapters()) and "mp4" in container.format.name
    for number, what in (
        (count["video"] - 1, "further picture {}, such as a cover,"),
        (count["data"] - is_list, "data {}"),
        (count["attachment"], "attached {}, such as a font,"),
    ):
        if number > 0:
            noun = "file" if "attached" in what else "track"
            some = noun if number == 1 else f"{noun}s"
            verb = "is" if number == 1 else "are"
            yield f"{number} {what.format(some)} {verb} left out."


def _finer_colours(pixels: VideoFormat) -> str | None:
    """Where colours are stored in finer steps than in the result, how; None for RGB."""
    if pixels.is_rgb or pixels.has_palette or len(pixels.components) < 3:
        return None
    return _FINER_COLOURS.get((pixels.chroma_width(_BLOCK), pixels.chroma_height(_BLOCK)))


def _is_transparent(frame: VideoFrame) -> bool:
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)
