"""Opens video files safely and lists their frames, mostly without decoding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.errors import MediaError
from simswap.files import printable
from simswap.video.source.structure.kinds import demuxers_for

# The only decoders that a file can reach: those of phones, cameras, editors, browsers and of old
# files; the libraries know 500.
_PICTURE_CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg4,mpeg2video,mpeg1video,mpegvideo,h263,"
    "flv,msmpeg4v1,msmpeg4v2,msmpeg4,wmv1,wmv2,wmv3,vc1,theora,vp6,vp6a,vp6f,mjpeg,mjpegb,prores,"
    "dnxhd,cfhd,dvvideo,ffv1,huffyuv,ffvhuff,utvideo,v210,rawvideo,qtrle,svq3,gif,apng,png,webp"
)
_SOUND_CODECS = (
    "aac,aac_latm,mp1float,mp1,mp2float,mp2,mp3float,mp3,ac3,eac3,dca,alac,flac,opus,libopus,"
    "vorbis,wmav1,wmav2,wmapro,amrnb,amrwb,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,gsm_ms,pcm_alaw,"
    "pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,"
    "pcm_f32be,pcm_f64le,pcm_f64be,pcm_dvd,pcm_bluray"
)
_TEXT_CODECS = "subrip,srt,webvtt,mov_text,text,ass,ssa"
_CODECS = f"{_PICTURE_CODECS},{_SOUND_CODECS},{_TEXT_CODECS}"
_KNOWN_CODECS = frozenset(_CODECS.split(","))
MAX_STREAMS = 200  # some films have a hundred of subtitles and fonts
_PIXELS_SLACK = 1.1  # frames are coded in blocks of up to 64 px a side
# Their decoders hold up to 22 frames, which later ones may refer to, here of 3 bytes a pixel: as
# many as 10 bits of brightness and of a quarter of the colours take.
_REFERRING_CODECS = {"h264", "hevc", "vp9", "av1"}
_BYTES_PER_PIXEL = 3
KINDS = (
    "H.264, HEVC, VP9, AV1 or MPEG-4 video in MP4, MOV, WebM, MKV or AVI, or an animated GIF, WebP "
    "or PNG"
)


def check_is_file(path: Path) -> None:
    """Raise MediaError if there is no file at `path` that may be opened, or an empty one."""
    name = printable(path.name)
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise MediaError(f"{name} {problem}. Give the path of a video file.")
        if path.stat().st_size == 0:
            raise MediaError(f"{name} is empty (0 bytes). Give a video file.")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise MediaError(f"{name} cannot be opened ({reason}). Check the path.") from error


@contextmanager
def opened(path: Path, max_pixels: int = 8192 * 4608) -> Iterator[InputContainer]:
    """The file at `path`, open for reading; closed at the end.

    max_pixels: of the largest frame that any decoder makes, also in mid-stream.

    Raises MediaError if there is no such file or it is not of a kind that is read here.
    """
    name = printable(path.name)
    check_is_file(path)
    try:
        # The scheme keeps a name such as "concat:a|b" from being anything but a name.
        limits = {"max_pixels": str(round(max_pixels * _PIXELS_SLACK)), "codec_whitelist": _CODECS}
        options = limits | {
            "protocol_whitelist": "file",
            "format_whitelist": demuxers_for(path),
            "max_streams": str(MAX_STREAMS),
        }
        container = av.open(f"file:{path.absolute()}", options=options, metadata_errors="replace")
        for stream in container.streams:
            if stream.codec_context is not None:
                stream.codec_context.options = limits
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise out_of_memory(name) from error
        if isinstance(error, PermissionError):
            raise MediaError(f"{name} cannot be opened ({error.strerror}).") from error
        raise MediaError(
            f"{name} is not a video that can be read, or it is damaged or cut off. Give {KINDS}."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise MediaError(f"{name} cannot be opened ({reason}). Check the path.") from error
    with container:
        yield container


def picture_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream of moving pictures (not a music file's cover), of several the one players show.

    Raises MediaError if there is none, or none that can be decoded.
    """
    streams = films(container)
    if not streams:
        what = "sound but no pictures" if container.streams.audio else "no moving pictures"
        raise MediaError(f"{name} has {what}. Give {KINDS}.")
    usable = [stream for stream in streams if is_decoded(stream)]
    if not usable:
        raise MediaError(f"{name} holds pictures in a format that is not known here. Give {KINDS}.")
    shown = (stream for stream in usable if stream.disposition & av.stream.Disposition.default)
    return next(shown, usable[0])


def films(container: InputContainer) -> list[VideoStream]:
    """The streams of moving pictures, of which players show one."""
    cover = av.stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if not stream.disposition & cover]


def is_decoded(stream: Stream) -> bool:
    """Whether the stream's format is one of those that are decoded here."""
    context = stream.codec_context
    return context is not None and context.codec.name in _KNOWN_CODECS


def out_of_memory(name: str) -> MediaError:
    """The error for a file that takes more memory than there is."""
    return MediaError(
        f"{name} takes more memory than there is. Scale it down or cut it, or try again later."
    )


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Turns whatever a library says of a file that is read in the block into a MediaError."""
    name = printable(path.name)
    try:
        yield
    except MemoryError as error:  # libav's too
        raise out_of_memory(name) from error
    except (FFmpegError, OverflowError, OSError) as error:
        raise MediaError(
            f"{name} is damaged, or made in an unusual way, and cannot be read. "
            "Convert it to an ordinary MP4 first."
        ) from error


def is_too_large(frame: VideoFrame, max_pixels: int) -> bool:
    """Whether a frame has more pixels than are taken; some files begin with small ones."""
    return frame.width * frame.height > max_pixels


def holds_too_much(context: VideoCodecContext, max_pixels: int) -> bool:
    """Whether a decoder would hold too many bytes of frames such as its last packet made.

    max_pixels: of the largest frame; smaller ones may have more bytes a pixel.
    """
    if context.format is None or context.codec.canonical_name not in _REFERRING_CODECS:
        return False
    bits = context.width * context.height * context.format.padded_bits_per_pixel
    return bits > 8 * _BYTES_PER_PIXEL * max_pixels


def packets_of(container: InputContainer, stream: Stream) -> Iterator[Packet]:
    """A stream's packets, to the file's end.

    Raises FFmpegError where the file breaks off or is damaged beyond reading on.
    """
    try:
        yield from container.demux(stream)
    except IndexError as error:  # what the library raises when another stream begins midway
        raise InvalidDataError(0, "the file's streams change midway") from error


@contextmanager
def naming_failures(path: Path) -> Iterator[None]:
    """Turns a failure to write, within the block, into a MediaError that names the file."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        remedy = "Check the disk's free space and the folder's rights."
        if not isinstance(error, OSError):  # nothing the disk said
            remedy = "Try other settings, or convert the video to a plain MP4 first."
        raise MediaError(
            f"{printable(path.name)} could not be written ({error.strerror}). {remedy}"
        ) from error
