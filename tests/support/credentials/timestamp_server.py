"""A timestamp server (RFC 3161) that anybody could run: openssl with a certificate of its own."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CONFIGURATION = """
[req]
distinguished_name=name
prompt=no
[name]
CN=Example Timestamps
[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign
subjectKeyIdentifier=hash
[stamps]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
[tsa]
default_tsa=ours
[ours]
serial=serial
crypto_device=builtin
signer_digest=sha256
default_policy=1.2.3.4
digests=sha256,sha384,sha512
accuracy=secs:1
ess_cert_id_alg=sha256
"""


@contextmanager
def running_timestamps(folder: Path) -> Iterator[tuple[str, str]]:
    """Its address, and the PEM of the authority that vouches for it."""
    (folder / "settings").write_text(CONFIGURATION)
    (folder / "serial").write_text("01")
    new = "req -newkey rsa:2048 -nodes -config settings"
    _openssl(folder, f"{new} -x509 -days 99 -keyout ca.key -out ca.pem -extensions authority")
    _openssl(folder, f"{new} -keyout key -out request")
    issue = "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 99"
    _openssl(folder, f"{issue} -out pem -extfile settings -extensions stamps")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            sign = "-signer pem -inkey key -chain ca.pem"
            _openssl(folder, f"ts -reply -config settings -queryfile query {sign} -out reply")
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write((folder / "reply").read_bytes())

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", (folder / "ca.pem").read_text()
    finally:
        server.shutdown()
        server.server_close()


def _openssl(folder: Path, arguments: str) -> None:
    command = ["openssl", *arguments.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
