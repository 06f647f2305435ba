"""The log tells where something went wrong, never what a visitor sent."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

OWN = ("simswap", "__main__")  # loggers whose messages were written with this in mind


def place(error: BaseException) -> str:
    """An error's type and the line that raised it: what may be logged of it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + where


def keep_inputs_out() -> None:
    """From now on libraries' messages are told by their place only; call it when serving begins.

    Uvicorn, mcp and others put the request, or an error that quotes it, into theirs.
    """
    make = logging.getLogRecordFactory()

    def make_quiet(*arguments: object, **named: object) -> logging.LogRecord:
        record = make(*arguments, **named)
        if record.name.partition(".")[0] in OWN:
            return record
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {place(error)}" if error else ""
        record.msg = f"{record.levelname.lower()} at {record.filename}:{record.lineno}{cause}"
        record.args, record.exc_info, record.exc_text, record.stack_info = None, None, None, None
        return record

    logging.setLogRecordFactory(make_quiet)
