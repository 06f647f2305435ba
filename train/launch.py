"""torchrun, with an exit code that tells a run that was stopped from one that failed.

    python -m train.launch --nproc-per-node 8 train/train.py --config simswap-224 --resume ...

Flags before the script are torchrun's. The exit code is 75 (STOPPED) if a signal ended the run,
with a checkpoint; torchrun and `accelerate launch` say 1 then, as for any failure.
"""

from __future__ import annotations

import sys

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from train.loop.stopping import STOPPED


def main(arguments: list[str] | None = None) -> int:
    """Start the processes and wait for them; the exit code."""
    try:
        run(parse_args(arguments))
    except SignalException:  # passed on to all processes, which have come to their end
        return STOPPED
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        _, first = error.get_first_failure()
        return STOPPED if first.exitcode == STOPPED else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
