"""The seals by which a job knows its own folder and parts again: none that others made is taken.

They are made with a key in the user's data folder. Without such a folder a job can only go on in
the process that began it.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

from simswap.files import data_folder, read_beginning, sha256_of, write_private

logger = logging.getLogger(__name__)

KEY_FILE = "jobs.key"
_KEY_BYTES = 32
_of_this_process = secrets.token_bytes(_KEY_BYTES)


def seal_of(settings: Mapping[str, object]) -> str:
    """What nobody else can write below a job's settings, which are values for JSON."""
    told = json.dumps(settings, sort_keys=True).encode()
    return hmac.new(_key(), told, "sha256").hexdigest()


def key_of_parts(settings: Mapping[str, object]) -> bytes:
    """What the parts of a job are sealed with, also by machines of a cluster; it is not written."""
    told = json.dumps(settings, sort_keys=True).encode()
    return hmac.new(_key(), b"parts of " + told, "sha256").digest()


def seal_of_part(key: bytes, number: int, told: Mapping[str, object], file: Path) -> str:
    """What stands below a part's record, `told`, for it and its file. Raises OSError."""
    whole = json.dumps([number, dict(told), sha256_of(file)], sort_keys=True).encode()
    return hmac.new(key, whole, "sha256").hexdigest()


def is_same(seal: str, found: object) -> bool:
    """Whether a seal that was found is the one that should stand there."""
    return hmac.compare_digest(seal.encode(), str(found).encode(errors="replace"))


def _key() -> bytes:
    home = data_folder()
    if home is None:
        return _of_this_process
    try:
        path = home / KEY_FILE
        if not path.exists():
            write_private(path, secrets.token_bytes(_KEY_BYTES), keep=True)
        key = read_beginning(path, _KEY_BYTES)
    except OSError as error:
        logger.info("Jobs have no key of their own: %s", error.strerror)
        return _of_this_process
    return key if len(key) == _KEY_BYTES else _of_this_process
