"""The folder of uploads, which the demo's services read from and write to."""

from pathlib import Path

import pytest


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path
