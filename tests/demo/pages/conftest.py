"""The browser of these tests, with a camera of our own making."""

from collections.abc import Iterator

import numpy as np
import pytest

from tests.support.demo.chromium import launched
from tests.support.demo.fake_camera import NUM_FRAMES, camera_flags, write_camera


@pytest.fixture(scope="package")
def browser(
    astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["playwright.sync_api.Browser"]:  # noqa: F821
    """Until the last test of this folder has run; each test opens and closes its own pages."""
    camera = write_camera(tmp_path_factory.mktemp("camera") / "camera.y4m", astronaut, NUM_FRAMES)
    with launched(camera_flags(camera)) as chromium:
        yield chromium
