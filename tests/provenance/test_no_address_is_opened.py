"""No file makes the program open an address, whoever's address stands in it.

The listener is named as the proxy of all addresses, so that it hears of each that is opened.
"""

import ast
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from simswap.verify.report import details, verify
from tests.support.credentials.foreign_credentials import identity_of, write_signed
from tests.support.examples import ROOT
from tests.support.warm_python import run_warm

REMOTE = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
    xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
    xmlns:dcterms="http://purl.org/dc/terms/"
    dcterms:provenance="http://remote.test/manifest.c2pa"/></rdf:RDF></x:xmpmeta>"""
VERIFY = "from simswap.verify.report import verify; verify(path)"
SWAP = """
from simswap.media.photos import read_photo, write_photo
photo = read_photo(path)
assert write_photo(path.with_name("out.png"), photo.image, like=photo, model="m") == ()
"""
LIBRARY = """
import c2pa
try:
    c2pa.Reader(str(path))
except c2pa.C2paError:
    pass
"""


@pytest.fixture
def opened(tmp_path) -> Iterator[Callable[[str, Path], list[str]]]:
    """Runs code on a file in a process of its own: which addresses does it open?"""
    server, heard = socket.create_server(("127.0.0.1", 0)), []

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                heard.append(connection.recv(200).decode(errors="replace").split("\r")[0])

    def run(code: str, path: Path) -> list[str]:
        names = ("http_proxy", "https_proxy", "all_proxy")
        proxies = dict.fromkeys(names, f"http://127.0.0.1:{server.getsockname()[1]}")
        proxies |= {name.upper(): proxies[name] for name in names}
        variables = {**proxies, "no_proxy": "", "NO_PROXY": ""}
        code = f"from pathlib import Path\npath = Path({str(path)!r})\n{code}"
        run_warm("-c", code, variables=variables).check_returncode()
        return heard

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield run
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def with_identities(folder: Path) -> Path:
    people = tuple(identity_of(f"did:web:person{number}.test") for number in range(2))
    return write_signed(folder / "photo.png", assertions=people)


def with_remote_manifest(folder: Path) -> Path:
    Image.new("RGB", (64, 64)).save(folder / "photo.jpg", xmp=REMOTE)
    return folder / "photo.jpg"


TARGETS = [with_identities, with_remote_manifest]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("code", [VERIFY, SWAP], ids=["verify", "swap"])
def test_no_file_makes_us_open_an_address(opened, tmp_path, target, code):
    assert opened(code, target(tmp_path)) == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_library_by_itself_would_open_it(opened, tmp_path, target):
    assert len(opened(LIBRARY, target(tmp_path))) >= 1


@pytest.mark.parametrize(
    ("target", "taken_away"),
    [(with_identities, {"core": {}}), (with_remote_manifest, {"core": {}, "verify": {}})],
)
def test_it_is_our_settings_that_prevent_it(opened, tmp_path, target, taken_away):
    code = f"import simswap.provenance.credentials as reading; reading.SETTINGS |= {taken_away!r}"
    assert len(opened(f"{code}\n{VERIFY}", target(tmp_path))) >= 1


def test_each_setting_is_enough_by_itself_for_identities(opened, tmp_path):
    path = with_identities(tmp_path)
    for core in ({"decode_identity_assertions": False}, {"allowed_network_hosts": []}):
        code = (
            f"import simswap.provenance.credentials as reading; reading.SETTINGS['core'] = {core!r}"
        )
        assert opened(f"{code}\n{VERIFY}", path) == []


def test_whatever_reads_or_signs_has_our_settings():
    """A reader or builder without a context would have the library's own."""
    num_made = 0
    for path in (path for part in ("simswap", "train") for path in (ROOT / part).rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            made = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if re.match(r"c2pa\.(Reader|Builder)\b", made):
                given = {key.arg: ast.unparse(key.value) for key in call.keywords}
                assert given["context"] in ("settings", "context()")
                num_made += 1
            elif re.match(r"c2pa\.(Context|Settings|load_settings)\b", made):
                assert path.name == "credentials.py"
    assert num_made == 2


def test_credentials_on_a_server_are_told(tmp_path):
    report = verify(with_remote_manifest(tmp_path))
    assert report.verdict == "unchecked"
    assert "the file names a server that has them. It is not asked" in details(report)[0]


def test_onnxruntime_notes_nothing_about_this_machine_for_its_makers(tmp_path):
    code = "import simswap, onnxruntime"
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
