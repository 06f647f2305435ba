"""What a video loses on its way through the swap, in sentences."""

from __future__ import annotations

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.video.source.frame_lists import FrameList
from simswap.video.source.picture.colour import colour_of

TRANSPARENCY = "Transparency is dropped."


def losses_of(
    container: InputContainer,
    frame: VideoFrame,
    frames: FrameList,
    depth: int,
    stream: VideoStream,
) -> tuple[str, ...]:
    """What is dropped or changed of a file whatever is made of it.

    frame: the first. depth: bits of a channel. stream: that of the pictures.
    """
    found = []
    if frames.is_cut_short:
        seconds = float((frames.end - int(frames.times[0])) * stream.time_base)
        found.append(f"The file is damaged or cut off; the {seconds:.1f} s in it are used.")
    if colour_of(frame).is_high_range:
        found.append("HDR becomes standard dynamic range: bright parts lose contrast.")
    if depth > 8:
        found.append(f"{depth}-bit colour becomes 8-bit.")
    if frame.interlaced_frame:
        found.append("The video is interlaced; it becomes progressive, at the same frame rate.")
    # VP9 has its transparency in a stream of its own, which is not decoded here.
    tags = stream.metadata.get("alpha_mode"), stream.metadata.get("ALPHA_MODE")
    if "1" in tags or _is_transparent(frame):
        found.append(TRANSPARENCY)
    kinds = (("subtitle", "Subtitles are dropped."), ("data", "Data streams are dropped."))
    if container.chapters():
        found.append("Chapters are dropped.")
    types = [other.type for other in container.streams]
    found += [sentence for kind, sentence in kinds if kind in types]
    return tuple(found)


def _is_transparent(frame: VideoFrame) -> bool:
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)
