"""From the trainer's push to a swapped photo, by processes that take a local server for the Hub."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image

from simswap import FaceSwapper
from simswap.weights.bundle import DEFAULT_BUNDLE, load_bundle
from tests.support.demo.demo_server import running_demo
from tests.support.demo.hub_server import Hub, running_hub
from tests.support.examples import EXAMPLES
from tests.support.warm_python import run_warm
from train.publish.bundle import write_bundle

pytestmark = pytest.mark.slow
SOURCE, TARGET = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"
REPO = "user/my-model"
PUSH = """
import sys
from pathlib import Path
from train.publish.hub import HubPusher
pusher = HubPusher(sys.argv[1])
pusher.push(Path(sys.argv[2]), "Step 12")
sys.exit(not pusher.close(60))
"""


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model under another name, written as the trainer writes its own."""
    base, folder = load_bundle(), tmp_path_factory.mktemp("run") / "bundle"
    config = base.config
    write_bundle(
        folder,
        generator=base.generator,
        base=base,
        alignment=config.alignment,
        training=config.training,
        licence=config.licence,
        card="---\nlicense: other\n---\n# my-model\n",
        name="my-model",
    )
    return folder


@pytest.fixture(scope="module")
def hub(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub that has received the bundle from another process."""
    with running_hub() as hub:
        home = tmp_path_factory.mktemp("trainer")
        pushed = run_warm("-c", PUSH, REPO, bundle_folder, variables=hub.environment(home))
        pushed.check_returncode()
        yield hub


@pytest.fixture(scope="module")
def expected(bundle_folder: Path) -> np.ndarray:
    """What the bundle in its folder makes of the two photos, [H, W, 3] uint8 RGB."""
    swapper = FaceSwapper.from_pretrained(bundle_folder, device="cpu")
    source, target = (np.array(Image.open(path).convert("RGB")) for path in (SOURCE, TARGET))
    return swapper.swap_image(target, swapper.identity_of(source)).image


@pytest.fixture
def demo_of_hub(hub: Hub, tmp_path: Path) -> Iterator[str]:
    """Address of the demo, started with a model that lies on the Hub only."""
    settings = {"HF_TOKEN": "", **hub.environment(tmp_path / "visitor", token=None)}
    with running_demo(tmp_path, SIMSWAP_MODEL=REPO, **settings) as url:
        yield url


def test_what_another_process_pushed_is_the_bundle_byte_for_byte(hub, bundle_folder):
    files = {path.name: path.read_bytes() for path in bundle_folder.iterdir()}
    assert hub.repos[REPO].files == files
    assert files["generator.safetensors"] == (DEFAULT_BUNDLE / "generator.safetensors").read_bytes()


def test_the_demo_swaps_with_a_pushed_model_as_with_the_folder(demo_of_hub, tmp_path, expected):
    client = Client(demo_of_hub, verbose=False, download_files=tmp_path)
    path, summary = client.predict(
        source=[handle_file(SOURCE)], target=handle_file(TARGET), api_name="/swap_image"
    )
    assert summary["swapped"] == [0]
    assert np.array_equal(np.array(Image.open(path).convert("RGB")), expected)
    assert "my-model" in json.dumps(client.config)  # the page says which model it uses
