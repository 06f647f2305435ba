"""How a command of this package runs from the shell."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from simswap.errors import SimSwapError


def run_from_shell(name: str, main: Callable[[], None]) -> None:
    """What `main` logs goes to the screen; a person's mistakes end in one sentence."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main()
    except SimSwapError as error:
        sys.exit(f"{name}: {error}")
