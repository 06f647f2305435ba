"""The trial run before Content Credentials are read: `python -m simswap.verify.trial PATH SECONDS`.

The library makes records of all parts of a file, and compares each with many. Its exit code tells
whether it stayed within bounds (0), whatever it thinks of the file, or ran OUT_OF_MEMORY.
"""

from __future__ import annotations

import sys
from pathlib import Path

from simswap.errors import MediaError
from simswap.provenance.credentials import read_credentials
from simswap.trial_run import OUT_OF_MEMORY, limit_work


def main(arguments: list[str]) -> int:
    """Read a file's credentials. arguments: its path, and the seconds of processor time."""
    limit_work(float(arguments[1]))
    try:
        read_credentials(Path(arguments[0]))
    except MediaError:  # which this process's parent will find, too
        return 0
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
