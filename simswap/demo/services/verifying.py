"""What the demo does with a file whose origin a visitor asks for.

Models go by their names, see photos.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import spaces  # before torch, which it prepares for a GPU that is lent call by call

from simswap.demo import models
from simswap.demo.calls.failures import readable_errors
from simswap.demo.services.allowances import in_lane, new_lane
from simswap.demo.services.cancelling import is_cancelled, stop_if_cancelled
from simswap.demo.services.uploads import uploaded_file
from simswap.demo.services.video_limits import LOOK_SECONDS, VERIFY_LIMITS
from simswap.verify.report import Report, look_for_watermark, verify

clock = time.monotonic


@in_lane(new_lane())
def verify_upload(path: str | None) -> Report:
    """What an uploaded photo's or video's signature and marks say."""
    file = uploaded_file(path)
    stop_if_cancelled()
    return look_at_pixels(verify(file, VERIFY_LIMITS), file)


@spaces.GPU(duration=60)
@readable_errors()
def look_at_pixels(report: Report, file: Path) -> Report:
    """The report with what the pixels of an uploaded file say."""
    deadline = clock() + LOOK_SECONDS
    return look_for_watermark(
        report,
        file,
        models.by_name(None),
        models.names(),
        VERIFY_LIMITS,
        is_over=lambda: is_cancelled() or clock() > deadline,
    )
