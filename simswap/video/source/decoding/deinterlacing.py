"""Whole frames of interlaced ones, whose two fields were taken one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from av.filter import Graph
from av.video.frame import VideoFrame

from simswap.video.source.info import VideoInfo


def deinterlaced(frames: Iterator[VideoFrame], info: VideoInfo) -> Iterator[VideoFrame]:
    """Progressive frames of interlaced ones, as many, with the same times."""
    graph, shape = None, None
    for frame in frames:
        if shape != (frame.width, frame.height, frame.format.name):  # a filter is made for one
            if graph is not None:
                graph.push(None)
                yield from _pulled(graph, info)
            shape = (frame.width, frame.height, frame.format.name)
            graph = _deinterlacer(frame, info)
        frame.time_base = info.time_base
        graph.push(frame)
        yield from _pulled(graph, info)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph, info)


def _deinterlacer(frame: VideoFrame, info: VideoInfo) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=info.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(bwdif)
    bwdif.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph, info: VideoInfo) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (BlockingIOError, EOFError):
            return
        # The filter counts in half units, for the two fields of a frame.
        if frame.pts is not None:
            frame.pts = round(frame.pts * frame.time_base / info.time_base)
        yield frame
