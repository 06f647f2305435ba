"""Bundles by Hub repo id: fetched once, then offline; in processes that use a local server."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simswap import ModelError
from simswap.weights.bundle import find_bundle, save_bundle
from tests.support.demo.hub_server import Hub, Repo, running_hub
from tests.support.warm_python import run_warm
from tests.support.weights.tiny_bundle import make_bundle

ROOT = Path(__file__).parents[2]
REPO = "user/tiny"
LOAD = """
import sys
from simswap import SimSwapError
from simswap.weights.bundle import load_bundle
try:
    print(load_bundle(sys.argv[1], revision=(sys.argv[2:] or [None])[0]).name)
except SimSwapError as error:
    sys.exit(f"Error: {error}")
"""

pytestmark = pytest.mark.slow


def load(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return run_warm("-c", LOAD, *arguments, variables={"HF_TOKEN": "", **environment})


@pytest.fixture
def hub(tmp_path) -> Iterator[Hub]:
    """A Hub with one public bundle."""
    save_bundle(make_bundle(), tmp_path / "tiny", "# Tiny\n")
    files = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    with running_hub() as hub:
        hub.repos[REPO] = Repo(private=False, commits=[("Add", files)])
        yield hub


def test_a_bundle_is_fetched_once_and_then_needs_no_network(hub, tmp_path):
    here = hub.environment(tmp_path / "home", token=None)
    assert load(here, REPO).stdout == "tiny\n"
    assert not any(path.endswith("README.md") for _, path in hub.requests)  # of any size
    asked = len(hub.requests)
    offline = load({**here, "HF_HUB_OFFLINE": "1"}, REPO)
    assert offline.stdout == "tiny\n", offline.stderr
    assert len(hub.requests) == asked  # HF_HUB_OFFLINE: not a single request
    gone = load({**here, "HF_ENDPOINT": "http://127.0.0.1:9"}, REPO)  # nothing listens there
    assert gone.stdout == "tiny\n", gone.stderr


def test_a_revision_is_what_is_asked_for(hub, tmp_path):
    here = hub.environment(tmp_path / "home", token=None)
    revision = hub.repos[REPO].sha(REPO)
    assert load(here, REPO, revision).stdout == "tiny\n"
    fetched = [path for _, path in hub.requests if "/resolve/" in path]
    assert fetched
    assert all(f"/resolve/{revision}/" in path for path in fetched)
    refused = load(here, REPO, "v9")
    assert refused.returncode == 1
    assert f"{REPO} is no model folder here" in refused.stderr
    assert "(revision v9)" in refused.stderr


@pytest.mark.parametrize(
    "settings",
    [{"HF_HUB_OFFLINE": "1"}, {"HF_ENDPOINT": "http://127.0.0.1:9"}],
    ids=["switched off", "no network"],
)
def test_without_network_and_cache_one_sentence_says_so(tmp_path, settings):
    here = {"HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1", **settings}
    refused = load(here, REPO)
    assert refused.returncode == 1
    assert f"Error: {REPO} is no model folder here, and the Hub did not give it" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "offline" in refused.stderr or "network" in refused.stderr


def test_a_file_altered_on_the_hub_is_refused_by_its_sha256(hub, tmp_path):
    files = hub.repos[REPO].files
    files["detector.safetensors"] = files["detector.safetensors"][:-1] + b"?"
    refused = load(hub.environment(tmp_path / "home", token=None), REPO)
    assert "detector.safetensors is damaged: its sha256 is" in refused.stderr


def test_a_model_of_too_many_bytes_is_refused_before_any_is_fetched(hub, tmp_path):
    here = {"HF_TOKEN": "", **hub.environment(tmp_path / "home", token=None)}
    small = "import simswap.weights.bundle as bundle\nbundle.MAX_DOWNLOAD = 1000\n"
    refused = run_warm("-c", small + LOAD, REPO, variables=here)
    assert "bytes to fetch, more than the 1000 that a model may have" in refused.stderr
    assert not any("/resolve/" in path for _, path in hub.requests)


def test_what_the_library_says_of_odd_names_is_told_in_a_sentence(monkeypatch):
    def odd(*_: object, **__: object) -> None:
        raise ValueError("Invalid pointer path")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", odd)
    with pytest.raises(ModelError, match="the Hub did not give it"):
        find_bundle(REPO)
