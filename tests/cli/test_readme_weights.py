"""docs/weights.md: each of its commands runs as written.

The stand-ins have the official keys and a sixteenth of the widths: test_convert.py has whole ones.
"""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from simswap.__main__ import main
from simswap.models.generator import Generator, GeneratorConfig
from simswap.weights import bundle
from tests.faces.test_downloads import server  # noqa: F401 - a fixture
from tests.support.demo.demo_server import running_demo
from tests.support.examples import EXAMPLES, ROOT
from tests.support.weights.arcface_onnx import save_iresnet
from tests.support.weights.official_weights import (
    NARROW_VARIANTS,
    know_narrow_networks,
    official_state,
    save_whole_module,
)
from tests.support.weights.tiny_bundle import make_quick_bundle
from tests.weights.test_onnx_weights import export

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
IN_TABLE = re.findall(r"\| `([^`]+)` \|$", PAGE, re.MULTILINE)
IN_BLOCKS = re.search(r"```sh\n(.*?)\n```", PAGE, re.DOTALL)[1].splitlines()


def state_of(config: GeneratorConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Generator(config).state_dict()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A stand-in for each file that the page names."""
    folder = tmp_path_factory.mktemp("files")
    published, beta, deep = (state_of(variant.generator) for variant in NARROW_VARIANTS)
    torch.save(published, folder / "latest_net_G.pth")
    torch.save(beta, folder / "550000_net_G.pth")
    torch.save(published, folder / "my_224_net_G.pth")
    save_file(deep, folder / "my_512_net_G.safetensors")
    generator = Generator(NARROW_VARIANTS[0].generator)
    generator.load_state_dict(published)
    export(generator, folder / "simswap.onnx")
    save_whole_module(official_state("arcface_ir_se_18"), folder / "arcface_checkpoint.tar")
    save_iresnet(folder / "w600k_r50.onnx")
    shutil.copy(EXAMPLES / "grace_hopper.jpg", folder / "me.jpg")
    shutil.copy(EXAMPLES / "astronaut.jpg", folder / "photo.jpg")
    return folder


@pytest.fixture(scope="module")
def hub_model(tmp_path_factory) -> Path:
    """What lies on the Hub."""
    folder = tmp_path_factory.mktemp("hub")
    bundle.save_bundle(make_quick_bundle(), folder, "# Tiny\n")
    return folder


@pytest.fixture
def run(files, hub_model, tmp_path, monkeypatch, server) -> Callable[[str], None]:  # noqa: F811
    """Runs a line in the folder of the stand-ins, with an empty home; downloads from loopback."""
    monkeypatch.chdir(files)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    know_narrow_networks(monkeypatch)
    monkeypatch.setattr(bundle, "_download", lambda repo, revision: hub_model)

    def run(line: str) -> None:
        words = shlex.split(line)
        settings = dict(word.split("=", 1) for word in words[: words.index("python")])
        command = words[len(settings) + 1 :]
        if command == ["app.py"]:  # which runs in its own folder
            model = str(files / settings.pop("SIMSWAP_MODEL"))
            with running_demo(tmp_path, SIMSWAP_MODEL=model, **settings):
                return
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert command[:2] == ["-m", "simswap"]
        assert main(command[2:]) == 0
        if "--output" in command:
            assert (files / command[command.index("--output") + 1]).exists()

    return run


def lay_out_packs(data: Path, *folders: Path) -> None:
    """Real SCRFD weights where lines expect packs."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "models" / "scrfd_2.5g_bnkps.onnx", folder / "det.onnx")


def test_the_page_has_a_command_for_each_case():
    assert len(IN_TABLE) == 11
    assert len(IN_BLOCKS) == 3


@pytest.mark.parametrize("line", IN_TABLE)
def test_a_command_of_the_table_runs_as_written(line, run, files, tmp_path, request):
    if "insightface" in line:
        data = request.getfixturevalue("shared_data")
        home = tmp_path / ".insightface" / "models" / "buffalo_l"
        lay_out_packs(data, files / "packs" / "buffalo_m", home)
    run(line)


@pytest.mark.parametrize("line", IN_BLOCKS)
def test_a_command_that_uses_the_folder_runs_as_written(line, run, files):
    if not (files / "my-224").exists():
        run(IN_TABLE[0])
    run(line)
