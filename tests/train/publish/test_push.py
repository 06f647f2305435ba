"""Trainings that push to a local server, which they take for the Hub: it works, fails, refuses."""

import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.demo.hub_server import OWNER_TOKEN, READER_TOKEN, Hub, Repo, running_hub
from tests.support.examples import EXAMPLES
from tests.support.training.training_runs import finish, kill, metrics, wait_for_step, write_config
from tests.support.warm_python import WarmProcess, run_warm, start_warm

pytestmark = pytest.mark.slow
REPO = "user/tiny"
SWAP = """
import sys
import numpy as np
from PIL import Image
from simswap import FaceSwapper
model, source, target, output = sys.argv[1:]
swapper = FaceSwapper.from_pretrained(model, device="cpu")
source, target = (np.array(Image.open(path).convert("RGB")) for path in (source, target))
np.save(output, swapper.swap_image(target, swapper.identity_of(source)).image)
"""
PUSH = ("--push-to-hub", "--hub-model-id", REPO, "--push-every", "5", "--sample-every", "5")


@pytest.fixture(scope="module")
def data(data, tmp_path_factory):
    """The same under a name of its own, for cards to tell."""
    return shutil.copytree(data, tmp_path_factory.mktemp("named") / "portraits")


@pytest.fixture
def hub():
    with running_hub() as running:
        yield running


def start(hub: Hub, folder: Path, data: Path, *flags: str, token: str = OWNER_TOKEN) -> WarmProcess:
    """A training in `folder`/run that has just begun."""
    settings = {"TQDM_DISABLE": "1", "HF_DATASETS_OFFLINE": "1"}
    return start_warm(
        ["train/train.py", "--config", write_config(folder, data), *PUSH, *flags],
        folder / "output.txt",
        variables=settings | hub.environment(folder / "home", token),
    )


@pytest.fixture(scope="module")
def pushed(data, tmp_path_factory):
    """The Hub after a run of ten steps, and the run's folder."""
    folder = tmp_path_factory.mktemp("pushed")
    with running_hub() as hub:
        process = start(hub, folder, data, "--num-steps", "10", "--licence", "For tests only.")
        output = finish(process)
        assert process.returncode == 0, output
        yield hub, folder


def test_the_hub_has_the_runs_last_bundle(pushed):
    hub, folder = pushed
    files = {path.name: path.read_bytes() for path in (folder / "run" / "bundle").iterdir()}
    assert hub.repos[REPO].files == files
    assert hub.repos[REPO].commits[-1][0] == "Step 10"
    assert files["samples.png"].startswith(b"\x89PNG")


def test_the_card_on_the_hub_tells_data_steps_and_licence(pushed):
    card = pushed[0].repos[REPO].files["README.md"].decode()
    assert "- Data: portraits" in card
    assert "- Steps: 10" in card
    assert "- Pairs of photos seen: 20" in card
    assert "For tests only." in card
    assert f'from_pretrained("{REPO}")' in card
    assert "samples.png" in card


def test_what_a_run_pushed_loads_from_the_hub_and_swaps(pushed, tmp_path):
    output = tmp_path / "swapped.npy"
    photos = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"
    visitor = pushed[0].environment(tmp_path / "home", token=None)
    run_warm("-c", SWAP, REPO, *photos, output, variables=visitor).check_returncode()
    assert np.load(output).shape == (512, 512, 3)


def test_a_hub_that_always_fails_does_not_stop_training(hub, data, tmp_path):
    hub.fail(1000, "/commit/", 503)
    process = start(hub, tmp_path, data, "--num-steps", "100000")
    wait_for_step(process, tmp_path, 5)
    while not any("/commit/" in path for _, path in hub.requests):
        assert process.poll() is None, finish(process)
        time.sleep(0.05)
    failed_at = max(metrics(tmp_path))
    wait_for_step(process, tmp_path, failed_at + 10)
    kill(process)  # it would wait for the last push
    assert process.returncode == -signal.SIGKILL


def test_a_token_that_may_not_write_ends_the_run_before_the_first_step(hub, data, tmp_path):
    hub.repos[REPO] = Repo(False, [("initial commit", {})])
    process = start(hub, tmp_path, data, token=READER_TOKEN)
    output = finish(process)
    assert process.returncode == 1
    assert f"train: This token may not write to {REPO}" in output
    assert "Traceback" not in output
    assert not metrics(tmp_path)
