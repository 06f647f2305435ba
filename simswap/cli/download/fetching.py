"""A file from an address, with progress, in bounded size; one that was broken off goes on."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, ExitStack, nullcontext
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from simswap.errors import ModelError

CHUNK = 2**20  # bytes
TIMEOUT = 30  # s without a byte


def fetch(url: str, file: Path, max_bytes: int) -> tuple[str, int]:
    """Fetch into a file; gives its sha256 and its size.

    What the file holds already is taken for the beginning, where the server can give the rest.
    Raises ModelError: no network, broken off (the file then holds what came), or more than
    max_bytes.
    """
    try:
        with ExitStack() as stack:
            output = stack.enter_context(file.open("ab"))
            digest, have = _digest_of(file), output.tell()
            answer = stack.enter_context(_ask(url, have))
            if answer is None:
                return digest.hexdigest(), have
            if answer.status == 206 and not _goes_on(answer, have):
                raise HTTPException("another part of it came than was asked for")
            if have and answer.status != 206:
                output.truncate(0)
                digest, have = hashlib.sha256(), 0
            rest = answer.length
            bar = tqdm(
                initial=have,
                total=None if rest is None else have + rest,
                unit="B",
                unit_scale=True,
                desc=url.rsplit("/", 1)[-1],
            )
            stack.enter_context(bar)
            while chunk := answer.read(CHUNK):
                have += len(chunk)
                if have > max_bytes:
                    output.truncate(0)
                    raise ModelError(
                        f"{url} is another file than expected: it has more than {max_bytes} bytes."
                    )
                output.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk))
            if answer.length:
                raise HTTPException(f"broken off after {have} bytes")
    except (HTTPException, TimeoutError, ConnectionError, URLError, ValueError) as error:
        # ValueError: an address to which the server sends on, or a length, that cannot be.
        raise ModelError(
            f"{url} could not be fetched ({error or type(error).__name__}). Check the "
            "network, and try again later."
        ) from error
    return digest.hexdigest(), have


def _ask(url: str, have: int) -> AbstractContextManager[HTTPResponse | None]:
    headers = {"User-Agent": "simswap"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        return urlopen(Request(url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        if have and error.code == 416:
            return nullcontext()  # nothing is left
        raise


def _goes_on(answer: HTTPResponse, have: int) -> bool:
    """Whether a part begins where the file ends."""
    return answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _digest_of(file: Path) -> hashlib._Hash:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256")
