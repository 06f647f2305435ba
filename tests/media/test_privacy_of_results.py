"""Nothing that a target tells of people, places and files is in what is made of it."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
from PIL import Image, ImageCms

from simswap.media.photos import read_photo, write_photo
from simswap.provenance.signing import sign_video
from simswap.video.metadata_label import video_metadata
from simswap.video.output.writing import Encoding
from tests.support.credentials.certificates import CAPTURE, make_certificate
from tests.support.media.png import chunk
from tests.support.media.video_files import make_video, rewrite

SECRET = "Karenina"  # is in all that is planted
RESULTS = ["png", "jpg", "webp"]
VP9 = {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}
XMP = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
    xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/" dc:title="{SECRET}"/></rdf:RDF></x:xmpmeta>"""


def noise(seed: int = 0, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (side, side, 3), np.uint8)


def encoded(kind: str, **extra: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(noise()).save(stream, kind, **extra)
    return stream.getvalue()


def found_in(content: bytes, text: str = SECRET) -> list[str]:
    """How a text stands in a file, if it does: plain, in UTF-16, or deflated."""
    plain = [content, *_inflated(content)]
    names = {"plain": text.encode(), "le": text.encode("utf-16-le"), "be": text.encode("utf-16-be")}
    return [name for name, wanted in names.items() if any(wanted in part for part in plain)]


def _inflated(content: bytes) -> list[bytes]:
    parts, place = [], 0
    while (place := content.find(b"\x78", place)) >= 0:
        stream = zlib.decompressobj()
        with suppress(zlib.error):
            parts.append(stream.decompress(content[place:], 1 << 20))
        place += 1
    return parts


def with_segment(marker: int, data: bytes) -> bytes:
    jpeg = encoded("JPEG")
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data + jpeg[2:]


def with_chunk(kind: bytes, data: bytes) -> bytes:
    file = encoded("PNG")
    return file[:33] + chunk(kind, data) + file[33:]


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x013B] = tags[0x8298] = tags[0x010E] = SECRET
    tags[0x9C9D] = SECRET.encode("utf-16-le")  # as Windows writes an author
    inner = tags.get_ifd(0x8769)
    inner[0x927C] = b"Maker\0" + SECRET.encode()
    tags.get_ifd(0x8825)[0x001C] = SECRET  # the name of a place
    return tags.tobytes()


def profile_of_a_person(kind: bytes) -> bytes:
    """sRGB with one more tag, and the same text where its old description stood."""
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    text = kind + bytes(4) + SECRET.encode() + SECRET.encode("utf-16-be")
    count = int.from_bytes(plain[128:132], "big")
    table = plain[132 : 132 + 12 * count]
    entries = [struct.unpack_from(">4sII", table, 12 * index) for index in range(count)]
    moved = b"".join(struct.pack(">4sII", name, at + 12, size) for name, at, size in entries)
    added = struct.pack(">4sII", b"dmdd", len(plain) + 12, len(text))
    size = struct.pack(">I", len(plain) + 12 + len(text))
    head = size + plain[4:80] + SECRET.encode()[:4] + plain[84:128]  # its creator
    body = plain[132 + 12 * count :] + text
    return head + struct.pack(">I", count + 1) + moved + added + body


def resource_block(number: int, data: bytes) -> bytes:
    block = b"8BIM" + struct.pack(">HHI", number, 0, len(data)) + data
    return b"Photoshop 3.0\0" + block + bytes(len(data) % 2)


def signed_by_a_person() -> bytes:
    """A photo whose credentials tell of a person in many ways, and hold an original."""
    by = make_certificate(f"Anna {SECRET}")
    action = {"action": "c2pa.created", "digitalSourceType": CAPTURE, "description": SECRET}
    manifest = {
        "title": f"{SECRET}.jpg",
        "claim_generator_info": [{"name": SECRET, "version": "1"}],
        "thumbnail": {"format": "image/jpeg", "identifier": "thumb"},
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [action]}},
            _person("stds.schema-org.CreativeWork", {"author": [{"name": SECRET}]}),
            _person("stds.exif", {"exif:GPSAreaInformation": SECRET}),
            _person("cawg.metadata", {"dc:creator": SECRET}),
            {"label": "com.example.note", "data": {"note": SECRET}},
        ],
    }
    ingredient = {
        "title": f"{SECRET}.jpg",
        "relationship": "componentOf",
        "data": {"format": "image/jpeg", "identifier": "original"},
    }
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo("es256", by.certificate.encode(), by.key.encode(), None)
    )
    signed = io.BytesIO()
    builder = c2pa.Builder(manifest)
    builder.add_resource("thumb", io.BytesIO(ORIGINAL))
    builder.add_resource("original", io.BytesIO(ORIGINAL))
    builder.add_ingredient(ingredient, "image/jpeg", io.BytesIO(ORIGINAL))
    builder.sign(signer, "image/jpeg", io.BytesIO(encoded("JPEG")), signed)
    return signed.getvalue()


def _person(label: str, data: dict) -> dict:
    return {"label": label, "data": {"@context": {"x": "http://x"}} | data, "kind": "Json"}


ORIGINAL = encoded("JPEG", quality=90, comment=SECRET.encode())
TARGETS = {
    "exif in a jpeg": lambda: encoded("JPEG", exif=exif()),
    "exif in a png": lambda: encoded("PNG", exif=exif()),
    "exif in a webp": lambda: encoded("WEBP", exif=exif()),
    "xmp": lambda: encoded("WEBP", xmp=XMP.encode()),
    "xmp in a jpeg": lambda: with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode()),
    "comment": lambda: encoded("JPEG", comment=SECRET.encode()),
    "iptc": lambda: with_segment(0xED, resource_block(0x0404, b"\x1c\x02\x50" + _sized(SECRET))),
    "photoshop": lambda: with_segment(0xED, resource_block(0x0425, SECRET.encode("utf-16-be"))),
    "app15": lambda: with_segment(0xEF, SECRET.encode()),
    "tEXt": lambda: with_chunk(b"tEXt", b"Author\0" + SECRET.encode()),
    "zTXt": lambda: with_chunk(b"zTXt", b"Author\0\0" + zlib.compress(SECRET.encode())),
    "iTXt": lambda: with_chunk(b"iTXt", b"Author\0\0\0\0\0" + SECRET.encode()),
    "private chunk": lambda: with_chunk(b"seCr", SECRET.encode()),
    "icc in a jpeg": lambda: encoded("JPEG", icc_profile=profile_of_a_person(b"text")),
    "icc in a png": lambda: encoded("PNG", icc_profile=profile_of_a_person(b"mluc")),
    "behind a jpeg": lambda: encoded("JPEG") + ORIGINAL,
    "behind a png": lambda: encoded("PNG") + ORIGINAL,
    "tiff": lambda: encoded("TIFF", tiffinfo={0x013B: SECRET, 0x010D: f"{SECRET}.tif"}),
    "credentials": signed_by_a_person,
}


def _sized(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


@pytest.fixture(scope="module")
def targets(tmp_path_factory) -> dict[str, Path]:
    """Every kind of target, under a name that tells something too."""
    paths = {}
    for number, (name, make) in enumerate(TARGETS.items()):
        paths[name] = tmp_path_factory.mktemp("targets") / f"{SECRET} {number}"
        paths[name].write_bytes(make())
        assert found_in(paths[name].read_bytes()), name
    return paths


@pytest.mark.parametrize("kind", RESULTS)
@pytest.mark.parametrize("name", TARGETS)
def test_a_photo_tells_nothing_that_its_target_told(targets, tmp_path, name, kind):
    photo = read_photo(targets[name])
    assert write_photo(tmp_path / f"out.{kind}", noise(1), like=photo, model="m") == ()
    content = (tmp_path / f"out.{kind}").read_bytes()
    assert found_in(content) == []
    pixels = ORIGINAL[ORIGINAL.index(b"\xff\xda") + 20 :]
    assert not any(pixels[start : start + 40] in content for start in range(0, 2000, 40))


def test_transparency_stays_as_it_is(tmp_path):
    pixels = np.dstack([noise(), noise(2)[..., 0]])
    Image.fromarray(pixels).save(tmp_path / "in.png")
    write_photo(tmp_path / "out.png", noise(1), like=read_photo(tmp_path / "in.png"), model="m")
    assert np.array_equal(np.array(Image.open(tmp_path / "out.png"))[..., 3], pixels[..., 3])


def video_of_a_person(folder: Path, name: str, sound_codec: str, **recipe: object) -> Path:
    """A video with tags, chapters, named tracks and, in MKV, an attachment."""
    plain = make_video(folder / f"plain{Path(name).suffix}", sound_codec=sound_codec, **recipe)
    path = folder / name
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        tags = ("title", "artist", "author", "comment", "location", "copyright", "encoded_by")
        container.metadata.update(dict.fromkeys(tags, SECRET))
        named = {"title": "One", "artist": SECRET}
        container.set_chapters([{"id": 1, "start": 0, "end": 1, "time_base": 1, "metadata": named}])
        streams = {}
        for stream in source.streams:
            streams[stream.index] = copy = container.add_stream_from_template(stream)
            copy.metadata.update({"title": SECRET, "handler_name": SECRET, "language": "rus"})
        if path.suffix == ".mkv":
            container.add_attachment(f"{SECRET}.txt", "text/plain", SECRET.encode())
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    assert found_in(path.read_bytes())
    return path


@pytest.mark.parametrize(
    ("name", "sound_codec", "output", "recipe"),
    [
        ("in.mp4", "aac", "out.mp4", {}),
        ("in.mkv", "aac", "out.mkv", {}),
        ("in.mkv", "flac", "out.mp4", {}),
        ("in.webm", "libopus", "out.webm", VP9),
        ("in.webm", "libopus", "out.mp4", VP9),
    ],
)
def test_a_video_tells_nothing_that_its_target_told(tmp_path, name, sound_codec, output, recipe):
    target = video_of_a_person(tmp_path, name, sound_codec, num_frames=12, **recipe)
    encoding = Encoding(output[4:], preset="ultrafast")
    rewrite(target, tmp_path / output, encoding, metadata=video_metadata("m"))
    sign_video(tmp_path / output, "m", target)
    assert found_in((tmp_path / output).read_bytes()) == []
    with av.open(str(tmp_path / output)) as container:
        assert set(container.metadata) <= {
            *("comment", "COMMENT", "major_brand", "minor_version", "compatible_brands"),
            *("encoder", "ENCODER"),
        }
        for stream in container.streams:
            assert stream.metadata.get("language", "und") in ("und", "eng")


def test_a_sound_whose_header_names_somebody_is_encoded_anew(tmp_path):
    """As Vorbis' header does, which holds the tags of the sound."""
    with av.open(str(tmp_path / "bare.mkv"), "w") as container:
        pictures = container.add_stream("libvpx-vp9", rate=24, options=VP9["options"])
        pictures.width, pictures.height = 64, 64
        sound = container.add_stream("vorbis", rate=48000, options={"strict": "-2"})
        sound.layout = "stereo"
        container.mux(pictures.encode(av.VideoFrame.from_ndarray(noise(), format="rgb24")))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 24_000), np.float32), format="fltp")
        silence.sample_rate, silence.pts = 48000, 0
        container.mux([*pictures.encode(), *sound.encode(silence), *sound.encode()])
    target = tmp_path / "in.mkv"
    with av.open(str(tmp_path / "bare.mkv")) as source, av.open(str(target), "w") as container:
        streams = [container.add_stream_from_template(stream) for stream in source.streams]
        header = streams[1].codec_context.extradata
        place = header.index(b"\3vorbis") + 7  # here the one who made it, of no length as yet
        named = struct.pack("<I", len(SECRET)) + SECRET.encode()
        sizes = header[:2] + bytes([header[2] + len(SECRET)]) + header[3:place]
        streams[1].codec_context.extradata = sizes + named + header[place + 4 :]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                container.mux(packet)
    assert found_in(target.read_bytes())
    notices = rewrite(target, tmp_path / "out.webm", Encoding("webm", preset="ultrafast"))
    assert "its header may hold a name" in notices[0]
    assert found_in((tmp_path / "out.webm").read_bytes()) == []
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.audio[0].codec_context.name in ("opus", "libopus")
