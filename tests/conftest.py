"""Shared fixtures: a tiny real bundle made on the spot, the bundled model, and example photos."""

import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Read when torch is imported, by these tests and by the processes that they start: several share
# the machine's cores, on which a waiting thread shall not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several processes of tests: one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# This run's own, of all its processes: a network is compiled once, and nothing is left in the
# user's folders.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SIMSWAP_HOME"] = tempfile.mkdtemp(prefix="simswap-tests-")

import numpy as np
import pytest
import torch

from simswap import FaceSwapper, Identity
from simswap.provenance.signer import CERTIFICATE, KEY, TIMESTAMP_URL
from simswap.weights.bundle import Bundle, load_bundle, save_bundle
from tests.support.demo.demo_server import running_demo
from tests.support.examples import SHARED_DATA, read_example
from tests.support.media.face_videos import make_face_video
from tests.support.warm_trials import STARTERS, begin_warm, start_cold_trial
from tests.support.weights.tiny_bundle import make_bundle, make_quick_bundle

# Of the whole suite, at most. Half of a test's time is waiting (for pages, servers, limits), so
# four keep two cores busy.
NUM_WORKERS = 4
WORKER_GIGABYTES = 4  # a worker has a demo and a browser
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

# What is imported for the tests stays: to look through it for garbage took a fifth of the time of
# collecting them, and more while they run.
gc.disable()

# A shell that starts the tests in the background makes them, and their children, deaf to Ctrl+C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The whole suite runs in several processes; a part of it is faster without their start."""
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return max(1, min(NUM_WORKERS, int(gigabytes / WORKER_GIGABYTES))) if is_whole else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Where the tests of a file stay together, those of some subjects do, too."""
    from tests.support.scheduling import SubjectScheduling

    return SubjectScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever needs the demo waits for its start, which takes seconds; or for a CUDA device."""
    has_gpu = torch.cuda.is_available()
    for item in items:
        if "demo_url" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
        if not has_gpu and item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
    if IS_WORKER:
        from tests.support.scheduling import longest_first

        longest_first(items)


def pytest_collection_finish() -> None:
    """From here on there is garbage, among what is made."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """Nobody needs it any more."""
    if not IS_WORKER:
        shutil.rmtree(os.environ["SIMSWAP_HOME"], ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def own_certificate() -> Iterator[None]:
    """Results are signed with that of this run's folder."""
    with pytest.MonkeyPatch.context() as patched:
        for name in (CERTIFICATE, KEY, TIMESTAMP_URL):
            patched.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def warm_trials() -> Iterator[None]:
    """Files are tried by processes as always, which begin warm."""
    with pytest.MonkeyPatch.context() as patched:
        if sys.platform == "linux":
            begin_warm(patched)
        yield


@pytest.fixture
def cold_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """For limits so low that a warm process has done its work before they are looked at."""
    for module in STARTERS:
        monkeypatch.setattr(f"{module}.start", start_cold_trial)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development data folder, which a user's clone does not have."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the development data in {SHARED_DATA.name}/, beside the repository")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_bundle() -> Bundle:
    """Read only: a swapper takes its bundle over, so give it `make_bundle()`."""
    return make_bundle()


@pytest.fixture
def tiny_folder(tiny_bundle: Bundle, tmp_path: Path) -> Path:
    """A bundle on disk, each test's own."""
    save_bundle(tiny_bundle, tmp_path / "tiny", "# Tiny\n", half=False)
    return tmp_path / "tiny"


@pytest.fixture(scope="session")
def tiny_swapper() -> FaceSwapper:
    """Everything works except that its detector has learnt nothing."""
    return FaceSwapper(make_bundle(), device="cpu")


@pytest.fixture(scope="session")
def quick_swapper() -> FaceSwapper:
    """It finds faces, and what it puts in their place is noise: for tests of all that is around."""
    return FaceSwapper(make_quick_bundle(), device="cpu")


@pytest.fixture(scope="session")
def quick_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle on disk; read only."""
    folder = tmp_path_factory.mktemp("quick") / "quick"
    save_bundle(make_quick_bundle(), folder, "# Quick\n", half=False)
    return folder


@pytest.fixture
def quick_by_default(quick_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands take it, in this process, where no model is named."""
    monkeypatch.setattr("simswap.weights.bundle.DEFAULT_BUNDLE", quick_folder)


@pytest.fixture(scope="session")
def swapper() -> FaceSwapper:
    """The bundled model."""
    return FaceSwapper(load_bundle(), device="cpu")


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A portrait, 512 x 512."""
    return read_example("astronaut.jpg")


@pytest.fixture(scope="session")
def grace_hopper() -> np.ndarray:
    """A portrait of somebody else."""
    return read_example("grace_hopper.jpg")


@pytest.fixture(scope="session")
def identity() -> Identity:
    """Somebody: a seeded random direction."""
    embedding = np.random.default_rng(7).standard_normal(512).astype(np.float32)
    return Identity(embedding / np.linalg.norm(embedding))


@pytest.fixture(scope="session")
def face_clip(astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video of the astronaut, who moves and then leaves the frame; with sound."""
    return make_face_video(tmp_path_factory.mktemp("face_clip") / "in.mp4", astronaut)


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo keeps its log, and in uploads/ what visitors send and get."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="session")
def demo_url(demo_folder: Path) -> Iterator[str]:
    """Address of the demo, running for the whole session."""
    with running_demo(demo_folder) as url:
        yield url


@pytest.fixture(scope="session")
def long_face_clip(astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As face_clip, over and over: long enough to be interrupted."""
    path = tmp_path_factory.mktemp("long_face_clip") / "in.mp4"
    return make_face_video(path, astronaut, num_frames=24 * 20)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """Parquet shards of a few varied portraits to train on; read only."""
    pytest.importorskip("datasets", reason="needs the train extra")
    from train.data.examples import make_example_data

    folder = tmp_path_factory.mktemp("data")
    make_example_data(folder)
    return folder
