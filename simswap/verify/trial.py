"""The trial run before Content Credentials are read: `python -m simswap.verify.trial PATH LIMITS`.

The library makes records of all parts of a file, and compares each with many. Its exit code is as
that of simswap.video.source.trial.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from simswap.errors import MediaError
from simswap.provenance.credentials import read_credentials
from simswap.trial_run import OUT_OF_MEMORY, limit_work
from simswap.video.source.limits import VideoLimits


def main(arguments: list[str]) -> int:
    """Read a file's credentials. arguments: its path, and the limits as JSON."""
    limit_work(VideoLimits(**json.loads(arguments[1])).max_work)
    try:
        read_credentials(Path(arguments[0]))
    except MediaError:  # which this process's parent will find, too
        return 0
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
