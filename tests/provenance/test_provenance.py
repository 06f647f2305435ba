import io
import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from simswap import __version__
from simswap.errors import MediaError
from simswap.files import printable
from simswap.media.photos import write_photo
from simswap.provenance import metadata, search
from simswap.provenance.metadata import (
    COMPOSITE_WITH_MODEL,
    MetadataLabel,
    read_label,
    read_told,
    synthetic_xmp,
)
from simswap.verify.report import details, headline, verify
from tests.support.hostile.hostile_photos import xmp_of_names
from tests.support.media.png import chunk

SUFFIXES = ["png", "jpg", "jpeg", "webp"]


@pytest.fixture
def image():
    return np.full((32, 32, 3), 90, np.uint8)


def save_with_xmp(path, xmp):
    """A PNG whose XMP stands behind its pixels, as some programs write it."""
    Image.new("RGB", (32, 32)).save(path)
    whole = path.read_bytes()
    text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    path.write_bytes(whole[:-12] + text + whole[-12:])


def description(inside, attributes=""):
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
        xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
        xmlns:xmp="http://ns.adobe.com/xap/1.0/" {attributes}
        xmlns:I="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">{inside}</rdf:Description>
        </rdf:RDF></x:xmpmeta>""".encode()


def source_type(term):
    return f"<I:DigitalSourceType>http://cv.iptc.org/x/{term}</I:DigitalSourceType>"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_written_photo_carries_the_mark(tmp_path, image, suffix):
    write_photo(tmp_path / f"out.{suffix}", image, model="lite-128")
    expected = MetadataLabel(f"SimSwap {__version__}", "lite-128", COMPOSITE_WITH_MODEL)
    assert read_label(tmp_path / f"out.{suffix}") == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_photo_of_another_program_has_no_mark(tmp_path, image, suffix):
    Image.fromarray(image).save(tmp_path / f"photo.{suffix}")
    assert read_label(tmp_path / f"photo.{suffix}") is None


def test_saving_again_elsewhere_removes_the_mark(tmp_path, image):
    write_photo(tmp_path / "marked.png", image, model="m")
    with Image.open(tmp_path / "marked.png") as marked:
        Image.fromarray(np.array(marked)).save(tmp_path / "stripped.png")
    assert read_label(tmp_path / "stripped.png") is None


def test_pillow_finds_the_packet_too(tmp_path, image):
    for suffix in SUFFIXES:
        write_photo(tmp_path / f"out.{suffix}", image, model="m")
        with Image.open(tmp_path / f"out.{suffix}") as written:
            assert written.info["xmp"] == synthetic_xmp("m")


def test_the_packet_holds_nothing_but_software_model_and_source_type():
    first, second = synthetic_xmp("m"), synthetic_xmp("m")
    assert first == second  # no date, no random id
    text = first.decode()
    assert text.count("</xmp:") + text.count("</Iptc4xmpExt:") == 3


def test_a_model_name_cannot_break_out_of_the_packet(tmp_path, image):
    name = 'a</Iptc4xmpExt:AISystemUsed>&"<b>\x1b'
    write_photo(tmp_path / "out.png", image, model=name)
    assert read_label(tmp_path / "out.png").model == name.replace("\x1b", "?")


def test_a_mark_behind_the_pixels_is_found(tmp_path):
    save_with_xmp(tmp_path / "photo.png", synthetic_xmp("m"))
    assert read_label(tmp_path / "photo.png").model == "m"


@pytest.mark.parametrize(
    "xmp",
    [
        description(source_type("trainedAlgorithmicMedia")),
        description("", 'I:DigitalSourceType="http://cv.iptc.org/x/trainedAlgorithmicMedia"'),
        description('<I:DigitalSourceType rdf:resource="http://c/trainedAlgorithmicMedia"/>'),
    ],
)
def test_marks_of_other_programs_are_read_however_rdf_writes_them(tmp_path, xmp):
    save_with_xmp(tmp_path / "photo.png", xmp)
    mark = read_label(tmp_path / "photo.png")
    assert mark.digital_source_type.endswith("/trainedAlgorithmicMedia")
    assert mark.software is None
    assert mark.model is None


@pytest.mark.parametrize("term", ["digitalCapture", "humanEdits", "not-trainedAlgorithmicMedia"])
def test_a_camera_source_type_is_no_mark(tmp_path, term):
    save_with_xmp(tmp_path / "photo.png", description(source_type(term)))
    assert read_label(tmp_path / "photo.png") is None


BILLION_LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<x>&b;</x>"""


@pytest.mark.parametrize(
    "xmp",
    [
        b"",
        b"not xml",
        b"\xff\xfe\x00<",
        BILLION_LAUGHS,
        BILLION_LAUGHS.lower(),
        BILLION_LAUGHS.decode().encode("utf-16"),
        b'<?xml version="1.0" encoding="utf-7"?><x/>',
        b'<rdf:RDF><!DOCTYPE x SYSTEM "file:///etc/passwd"></rdf:RDF>' + synthetic_xmp("m")[:-99],
        b"<a>" * 100_000,
        b"<a>" * 100_000 + b"</a>" * 100_000,
    ],
)
def test_hostile_packets_are_passed_over(tmp_path, xmp):
    save_with_xmp(tmp_path / "photo.png", xmp)
    assert read_label(tmp_path / "photo.png") is None


GROWING = {
    "a long namespace in many names": lambda: xmp_of_names(100_000, 5_000),
    "many names": lambda: xmp_of_names(1, 15_000),
    "many attributes": lambda: b"<a " + b"".join(b"b%x='' " % n for n in range(10_000)) + b"/>",
    "many namespaces": lambda: (
        b"<a " + b"".join(b"xmlns:b%x='' " % n for n in range(5_000)) + b"/>"
    ),
    "a deep nest": lambda: b"<a>" * 50_000,
    "a long text in many pieces": lambda: b"<a>" + b"&lt;" * 40_000 + b"</a>",
}


@pytest.mark.parametrize("kind", GROWING)
def test_a_packet_takes_memory_for_its_bytes_alone(tmp_path, kind):
    save_with_xmp(tmp_path / "photo.png", GROWING[kind]())
    tracemalloc.start()
    mark = read_label(tmp_path / "photo.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mark is None
    assert peak < 8_000_000  # bytes; as a tree the first kind takes 500 million


def test_a_prefix_stands_for_what_is_declared_nearest(tmp_path):
    inside = source_type("trainedAlgorithmicMedia")
    other = inside.replace(">http", ' xmlns:I="other">http', 1)
    save_with_xmp(tmp_path / "other.png", description(other))
    save_with_xmp(tmp_path / "both.png", description(other + inside))
    assert read_label(tmp_path / "other.png") is None
    assert read_label(tmp_path / "both.png") is not None


def test_of_very_many_packets_few_bytes_are_parsed(tmp_path, monkeypatch):
    parsed = []
    padding = b" " * 200_000
    packet = b"<rdf:RDF><a DigitalSourceType='%b'/></rdf:RDF>" % padding
    path = tmp_path / "many.jpg"
    Image.new("RGB", (32, 32)).save(path)
    path.write_bytes(path.read_bytes() + packet * 50)
    monkeypatch.setattr(metadata, "_parse_label", parsed.append)
    assert read_told(path) == (None, None, False)
    assert 2_500_000 < sum(map(len, parsed)) <= 3_000_000
    report = verify(path)
    assert report.verdict == "unchecked"
    assert "There is more in it, so it may have one" in headline(report)
    assert "Metadata label: none in what was read of it." in details(report)


BEFORE_A_LABEL = {
    "fill": b"\xff",
    "a marker that stands alone": b"\xff\x01",
    "a restart": b"\xff\xd0",
    "zeros": bytes(2),
    "many packets": b"<x:xmpmeta></x:xmpmeta>" * 20_000,
    "many ends of none": b"</x:xmpmeta></rdf:RDF>" * 20_000,
    "other packets that tell": b"<x:xmpmeta DigitalSourceType=''></x:xmpmeta>" * 500,
    "an end of none": b"</x:xmpmeta>",
    "an opening of none": b"\xff\xfe\x00\x0f<x:xmpmeta  <rdf:RDF",
}


@pytest.mark.parametrize("kind", BEFORE_A_LABEL)
def test_a_label_is_found_whatever_stands_before_it(tmp_path, kind):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (32, 32)).save(path, xmp=synthetic_xmp("m"))
    whole = path.read_bytes()
    place = whole.index(b"\xff\xe1")
    path.write_bytes(whole[:place] + BEFORE_A_LABEL[kind] + whole[place:])
    assert read_label(path).model == "m"


@pytest.mark.parametrize("size", [16, 300, 1000])
def test_a_packet_that_lies_in_several_blocks_is_found_once(monkeypatch, size):
    monkeypatch.setattr(search, "_BLOCK", size)
    packets = [b"<x:xmpmeta>word%b</x:xmpmeta>" % (b"%d" % n * 150) for n in range(5)]
    others = [b"between" * 30, b"<x:xmpmeta></x:xmpmeta>", b"word</x:xmpmeta>", b"<x:xmpmeta>"]
    stream = io.BytesIO(b"".join(b"".join(others) + packet for packet in packets) + others[3])
    found = list(search.xmp_packets(stream, b"word"))
    assert [packet for packet in found if packet in packets] == packets
    assert len(found) <= 2 * len(packets)


def test_what_a_mark_says_cannot_steer_the_terminal(tmp_path):
    inside = source_type("trainedAlgorithmicMedia") + "<xmp:CreatorTool>a\x9b2Jb</xmp:CreatorTool>"
    save_with_xmp(tmp_path / "photo.png", description(inside))
    assert read_label(tmp_path / "photo.png").software == "a?2Jb"


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 0xFFFFFFFF, b"iTXt"),
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe1\x00\x00",
        b"\xff\xd8\xff\xe1\xff\xff" + b"http://ns.adobe.com/xap/1.0/\0",
        b"RIFF\xff\xff\xff\xffWEBPXMP \xff\xff\xff\xff",
    ],
)
def test_a_broken_file_has_no_mark(tmp_path, content):
    (tmp_path / "photo").write_bytes(content)
    assert read_label(tmp_path / "photo") is None


def test_a_mark_is_read_though_the_pixels_are_cut_off(tmp_path, image):
    write_photo(tmp_path / "out.jpg", image, model="m")
    (tmp_path / "out.jpg").write_bytes((tmp_path / "out.jpg").read_bytes()[:-200])
    assert read_label(tmp_path / "out.jpg").model == "m"


@pytest.mark.parametrize(
    ("path", "fact"),
    [("absent.png", "does not exist"), (".", "is not a file"), ("note.txt", "is not a photo")],
)
def test_what_cannot_carry_a_mark_is_refused(tmp_path, path, fact):
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(MediaError, match=fact):
        read_label(tmp_path / path)


def test_printable_cuts_and_cleans():
    assert printable("a" * 200) == "a" * 97 + "..."
    assert printable("tab\tbell\x07é") == "tab?bell?é"


@pytest.mark.parametrize(
    ("head", "part"), [(b"\xff\xd8", b"\xff\xeb\x12\x34JP"), (b"GIF89a", b"!\xff\x0bC2PA_GIF")]
)
def test_heads_of_parts_tell_of_credentials_in_files_of_their_kind_only(head, part):
    assert search.holds_credentials(io.BytesIO(head + bytes(99) + part))
    assert not search.holds_credentials(io.BytesIO(b"\x1aE\xdf\xa3" + bytes(99) + part))
