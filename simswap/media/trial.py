"""The child process in which an AVIF or HEIC photo is decoded first: see heif_files.

`python -m simswap.media.trial MOST` decodes up to MOST pictures of the file on its input. Its exit
code is as trial_run has it.
"""

from __future__ import annotations

import sys

from simswap.errors import MediaError
from simswap.media.decoding import decode_series
from simswap.media.heif_files import WORK_SECONDS
from simswap.trial_run import OUT_OF_MEMORY, limit_work


def main(arguments: list[str]) -> int:
    """Decode the pictures. arguments: how many at most."""
    limit_work(WORK_SECONDS)
    try:
        for _ in decode_series(sys.stdin.buffer.read(), "photo", int(arguments[0]), is_tried=True):
            pass
    except MediaError as error:  # otherwise this process's parent will find the same
        return OUT_OF_MEMORY if isinstance(error.__cause__, MemoryError) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
