"""The child process in which an AVIF or HEIC photo is decoded: see heif_files.

`python -m simswap.media.trial MOST SECONDS` decodes up to MOST pictures of the file on its input,
in as many seconds of processor time, and writes them to its output. Its exit code is as trial_run
has it.
"""

from __future__ import annotations

import sys

from simswap.errors import MediaError
from simswap.media.decoding import decode_here
from simswap.media.handover import NAME, end, hand_over
from simswap.trial_run import OUT_OF_MEMORY, limit_work


def main(arguments: list[str]) -> int:
    """Decode the pictures. arguments: how many at most, and the seconds."""
    limit_work(float(arguments[1]))
    refusal, output = None, sys.stdout.buffer
    try:
        for photo, count in decode_here(sys.stdin.buffer.read(), NAME, int(arguments[0])):
            hand_over(output, photo, count)
    except MediaError as error:
        if isinstance(error.__cause__, MemoryError):
            return OUT_OF_MEMORY
        refusal = str(error)
    end(output, refusal)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
