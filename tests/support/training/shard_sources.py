"""The same photos in every form a data source can take, and a web server for them."""

import functools
import http.server
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IDENTITIES = ("anna", "bert", "carl")


def encoded(seed: int, side: int = 24, kind: str = "PNG") -> bytes:
    """A noise photo, as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def make_records(count: int, identities: tuple[str, ...] = IDENTITIES) -> list[dict]:
    """Rows with photo, identity and landmarks; the first five and every third lack the last."""
    points = [[8.0, 9.0], [16.0, 9.0], [12.0, 13.0], [9.0, 17.0], [15.0, 17.0]]
    return [
        {
            "image": {"bytes": encoded(number), "path": None},
            "identity": identities[number % len(identities)],
            "landmarks": None if number < 5 or number % 3 == 2 else points,
        }
        for number in range(count)
    ]


def write_parquet(path: Path, records: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(records), path)


def write_tar(path: Path, records: list[dict]) -> None:
    """A webdataset: NNNN.png and NNNN.json; where there are no landmarks the json has no key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number, record in enumerate(records):
            facts = {key: record[key] for key in ("identity", "landmarks") if record[key]}
            files = {"png": record["image"]["bytes"], "json": json.dumps(facts).encode()}
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{number:04}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def write_folder(root: Path, records: list[dict]) -> None:
    for number, record in enumerate(records):
        folder = root / record["identity"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.png").write_bytes(record["image"]["bytes"])


class RangeHandler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, and parts of them, which reading parquet from afar needs."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            return super().do_GET()
        content = path.read_bytes()
        first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return self.wfile.write(content[first : last + 1])

    def end_headers(self) -> None:
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path, handler: type[RangeHandler] = RangeHandler) -> Iterator[str]:
    """Address under which the folder is served on this machine."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
