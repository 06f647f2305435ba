"""Sound on its way: what is read of it lies in a file until the result is written.

So a source is open for one track at a time. Sound is encoded anew by a decoding process, as its
decoders have no more bounds than pictures.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet, PacketSideData

from simswap.errors import CrowdedError, MediaError
from simswap.video.source.container import opened, packets_of
from simswap.video.source.decoding.child import Piece, Request
from simswap.video.source.decoding.process import answers_of
from simswap.video.source.limits import usual_memory

TAIL_SECONDS = 1  # of sound after the last picture
_PACKETS_PER_SECOND = 1000  # Opus of 2.5 ms has 400, Vorbis' short blocks 750
_MEMORY = 300_000_000  # bytes; 100 million are Python's and the libraries' own
_SECONDS_EACH = 0.05  # of processor time for a packet; ordinary ones take a hundredth
SKIPPED = "skip_samples"  # how much of a packet's sound is not played: numbers only
_SKIPPED_TYPE = 11  # libav's number for it
# Of a packet: when it is shown and decoded, its length, their time base, whether decoding can begin
# with it, and the bytes of SKIPPED.
_TIMES = struct.Struct("<qqqqq?B")
_MAX_PACKET = 1_000_000  # bytes
_LENGTH = struct.Struct("<I")


def packets_between(
    source: InputContainer, stream: AudioStream, start: Fraction, end: Fraction, *, is_cut: bool
) -> Iterator[Packet]:
    """Packets that sound from start to end, in seconds of the file, but for enormous ones.

    is_cut: that is not the file's own beginning. They end where they have as many bytes as the
    file: then it tells of the same ones again and again.
    """
    most, left = int((end - start) * _PACKETS_PER_SECOND), source.size
    base, newest = stream.time_base, None
    try:
        if is_cut:
            source.seek(int(start / base), stream=stream, backward=True)
        for packet in packets_of(source, stream):
            left -= packet.size
            if packet.size == 0 or packet.pts is None or packet.is_corrupt:
                continue
            # No container takes times that run backwards, as they do in damaged files.
            if newest is not None and packet.pts <= newest:
                continue
            if (packet.pts + max(packet.duration or 0, 1)) * base <= start:
                continue
            if packet.pts * base >= end or most <= 0 or left < 0:
                return
            newest = packet.pts
            most -= 1
            if packet.size <= _MAX_PACKET:
                yield packet
    except FFmpegError:
        return  # the file breaks off here, as its list of frames has told


@dataclass(frozen=True, eq=False)
class SoundRequest(Request):
    """A track of sound that is wanted in another format.

    number: of its stream. start, end, is_cut: see packets_between. shift: seconds to take off all
    times. codec and what follows: of the encoder, by its names.
    """

    path: Path
    max_pixels: int
    number: int
    start: Fraction
    end: Fraction
    is_cut: bool
    shift: Fraction
    codec: str
    sample_format: str
    sample_rate: int
    layout: str
    bit_rate: int

    memory = _MEMORY
    usual_memory = usual_memory(0)
    seconds_each = _SECONDS_EACH

    def pieces(self) -> Iterator[Piece]:
        """Encoded packets: their times, what is not played of them, their bytes."""
        with ExitStack() as stack:
            source = stack.enter_context(opened(self.path, self.max_pixels))
            stream = source.streams[self.number]
            packets = packets_between(source, stream, self.start, self.end, is_cut=self.is_cut)
            for packet in self._encoded(packets):
                yield 0, _piece(packet)

    def room(self, size: int) -> bytearray | None:
        """A packet's."""
        return bytearray(size) if _TIMES.size <= size <= _MAX_PACKET else None

    def _encoded(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        encoder: AudioCodecContext = av.CodecContext.create(self.codec, "w")
        encoder.format = self.sample_format
        encoder.sample_rate, encoder.layout = self.sample_rate, self.layout
        encoder.bit_rate, encoder.thread_count = self.bit_rate, 1
        encoder.time_base = Fraction(1, self.sample_rate)
        # As much as is to be heard: a packet may hold more than its time tells.
        left = self.end - self.start + TAIL_SECONDS
        for frame in _frames(packets):
            left -= Fraction(frame.samples, frame.sample_rate)
            if left < 0:
                break
            frame.pts -= round(self.shift / frame.time_base)
            yield from encoder.encode(frame)
        yield from encoder.encode(None)


def encoded_apart(request: SoundRequest, stream: AudioStream, store: BinaryIO) -> Iterator[Packet]:
    """The track's packets for a stream that has the same encoder.

    All are made at once and lie in `store` until they are taken: of several tracks, one is decoded
    at a time. Raises InvalidDataError where its sound takes too much time or memory, MediaError
    where no process can be started.
    """
    try:
        with closing(answers_of(request)) as answers:
            return _kept((piece for _, piece in answers), stream, store)
    except CrowdedError:  # later there is room for it
        raise
    except MediaError as error:
        raise InvalidDataError(0, "the sound takes too much time or memory") from error


def copied_apart(
    packets: Iterable[Packet], stream: AudioStream, store: BinaryIO, most: int
) -> tuple[Iterator[Packet], int]:
    """The packets for a stream, read now, and how many bytes they have.

    They lie in `store` until they are taken. Raises InvalidDataError for more than `most` bytes.
    """
    num_bytes = 0

    def counted() -> Iterator[bytes]:
        nonlocal num_bytes
        for packet in packets:
            num_bytes += packet.size
            if num_bytes > most:
                raise InvalidDataError(0, "the sound has more bytes than the file")
            yield _piece(packet)

    return _kept(counted(), stream, store), num_bytes


def _kept(pieces: Iterable[bytes], stream: AudioStream, store: BinaryIO) -> Iterator[Packet]:
    for piece in pieces:
        store.write(_LENGTH.pack(len(piece)) + piece)
    store.seek(0)
    return _taken(store, stream)


def _taken(store: BinaryIO, stream: AudioStream) -> Iterator[Packet]:
    while length := store.read(_LENGTH.size):
        yield _packet(store.read(*_LENGTH.unpack(length)), stream)


def _piece(packet: Packet) -> bytes:
    times = packet.pts, packet.dts, packet.duration or 0, *packet.time_base.as_integer_ratio()
    has = packet.has_sidedata(SKIPPED)
    skipped = bytes(packet.get_sidedata(SKIPPED)) if has else b""
    return _TIMES.pack(*times, packet.is_keyframe, len(skipped)) + skipped + bytes(packet)


def _packet(piece: bytes, stream: AudioStream) -> Packet:
    shown, decoded, length, *base, is_key, num_skipped = _TIMES.unpack_from(piece)
    begins = _TIMES.size + num_skipped
    packet = Packet(piece[begins:])
    packet.pts, packet.dts, packet.time_base = shown, decoded, Fraction(*base)
    packet.duration, packet.stream, packet.is_keyframe = length, stream, is_key
    if num_skipped:
        side_data = PacketSideData(_SKIPPED_TYPE, num_skipped)
        side_data.update(piece[_TIMES.size : begins])
        packet.set_sidedata(side_data)
    return packet


def _frames(packets: Iterator[Packet]) -> Iterator[AudioFrame]:
    for packet in packets:
        try:
            yield from (frame for frame in packet.decode() if frame.pts is not None)
        except FFmpegError:
            continue  # a click in the sound, no reason to lose the video
