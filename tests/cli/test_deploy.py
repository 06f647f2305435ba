"""`python -m simswap deploy`: what a Space gets, on a Hub on this machine's loopback address."""

import re
import shutil
import subprocess
import sys

import pytest
from gradio_client import Client, handle_file

from simswap.__main__ import main
from simswap.cli import pins
from simswap.cli.deploy import files_of_space
from simswap.verify.report import verify
from tests.support.demo import emulated_gpu
from tests.support.demo.demo_server import running_demo
from tests.support.demo.hub_server import OWNER_TOKEN, READER_TOKEN, Repo, running_hub
from tests.support.examples import EXAMPLES, ROOT

pytestmark = pytest.mark.slow

SPACE = "user/swapping"


def deploy(hub, home, token=OWNER_TOKEN, *more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "simswap", "deploy", "--space", SPACE, *more]
    environment = {"PATH": "", **hub.environment(home, token)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory):
    """A hub after a deployment, and what the command said."""
    with running_hub() as hub:
        done = deploy(hub, tmp_path_factory.mktemp("home"))
        assert done.returncode == 0, done.stderr
        yield hub, done


@pytest.fixture(scope="module")
def uploaded_for_lent_gpu(tmp_path_factory):
    """A hub after a deployment where a GPU is lent call by call."""
    with running_hub() as hub:
        done = deploy(hub, tmp_path_factory.mktemp("home"), OWNER_TOKEN, "--hardware", "zerogpu")
        assert done.returncode == 0, done.stderr
        yield hub


def check_that_it_swaps(tree, folder, script: str, **more: str) -> None:
    """Start a Space's folder, with no other code to be had, and swap a photo."""
    alone = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "", "SPACE_ID": SPACE}
    with running_demo(folder, tree / script, **alone, **more) as url:
        client = Client(url, verbose=False, download_files=folder)
        result, summary = client.predict(
            source=[handle_file(EXAMPLES / "grace_hopper.jpg")],
            target=handle_file(EXAMPLES / "astronaut.jpg"),
            consent=True,
            api_name="/swap_image",
        )
    assert summary["swapped"] == [0]
    assert verify(result).verdict == "marked"
    assert list((tree / "simswap").rglob("swapper.*.pyc"))  # it ran what was uploaded


def test_a_space_gets_exactly_what_it_needs(uploaded):
    hub, _ = uploaded
    files = hub.repos[SPACE].files
    assert set(files) == {path.as_posix() for path in files_of_space()}
    changed = {name for name, content in files.items() if content != (ROOT / name).read_bytes()}
    assert changed == {"requirements.txt"}
    assert {name.split("/")[0] for name in files} == {
        *("app.py", "requirements.txt", "packages.txt", "README.md", "LICENSE"),
        *("assets", "simswap"),
    }
    assert not [name for name in files if "__pycache__" in name or "/." in name]


def test_a_space_pins_what_its_requirements_bring_with_them(uploaded):
    hub, _ = uploaded
    lines = hub.repos[SPACE].files["requirements.txt"].decode().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    own = (ROOT / "requirements.txt").read_text().splitlines()
    assert {line for line in own if line and not line.startswith("#")} < set(lines)
    assert all(re.fullmatch(r"[\w.-]+(\[[\w,]+\])?==[\w.]+(; .+)?", line) for line in lines)
    names = [line.split("==")[0].split("[")[0] for line in lines]
    assert len(set(names)) == len(names)
    assert {"starlette", "uvicorn", "python-multipart", "fastapi", "h11"} <= set(names)


def test_a_space_with_a_shared_gpu_is_asked_for_and_gets_the_torch_that_is_offered_there(
    uploaded, uploaded_for_lent_gpu
):
    asked = {"type": "space", "sdk": "gradio", "name": SPACE, "hardware": "zero-a10g"}
    assert uploaded_for_lent_gpu.created == [asked]
    files, of_cpu = uploaded_for_lent_gpu.repos[SPACE].files, uploaded[0].repos[SPACE].files
    assert {name for name in files | of_cpu if files.get(name) != of_cpu.get(name)} == {
        "requirements.txt"
    }
    lines = files["requirements.txt"].decode().splitlines()
    ours = pins.pinned_requirements().decode().splitlines()
    assert set(lines) - set(ours) == {"torch==2.11.0", "setuptools<82"}
    assert len(lines) == len(ours)


def test_what_was_uploaded_starts_from_an_empty_folder_and_swaps(uploaded, tmp_path):
    tree = tmp_path / "space"
    uploaded[0].repos[SPACE].write_into(tree)
    check_that_it_swaps(tree, tmp_path, "app.py")


def test_where_a_gpu_is_lent_it_starts_too_and_swaps_in_another_process(
    uploaded_for_lent_gpu, tmp_path
):
    tree = tmp_path / "space"
    uploaded_for_lent_gpu.repos[SPACE].write_into(tree)
    shutil.copy(emulated_gpu.__file__, tree / "start.py")
    # One thread: those of torch would be missing in the process that is forked for each call.
    check_that_it_swaps(tree, tmp_path, "start.py", OMP_NUM_THREADS="1")


def test_every_installed_dependency_is_pinned_to_the_version_that_is_installed():
    pinned = dict(
        line.split("==") for line in pins.CONSTRAINTS.read_text().splitlines() if "==" in line
    )
    assert pins.installed_pins() == pinned


def test_what_is_for_other_platforms_need_not_be_installed(monkeypatch, tmp_path):
    (tmp_path / "requirements.txt").write_text('absent==1.0; sys_platform == "another"\ntqdm\n')
    monkeypatch.setattr(pins, "REQUIREMENTS", tmp_path / "requirements.txt")
    assert "absent" not in pins.installed_pins()


def test_what_only_a_build_for_gpus_needs_is_not_pinned():
    assert not [name for name in pins.installed_pins() if pins._OF_TORCH.fullmatch(name)]
    assert pins._OF_TORCH.fullmatch("nvidia-cublas-cu13")


def test_the_pins_are_written_by_a_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(pins, "CONSTRAINTS", tmp_path / "constraints.txt")
    assert main(["deploy", "--pin"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'constraints.txt'}\n"
    assert (tmp_path / "constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()


def test_every_file_that_git_keeps_of_the_demo_is_uploaded():
    kept = subprocess.run(
        ["git", "ls-files", "simswap", "assets"], cwd=ROOT, capture_output=True, text=True
    )
    if kept.returncode:
        pytest.skip("needs a git clone")
    assert set(kept.stdout.split()) <= {path.as_posix() for path in files_of_space()}


def test_it_is_a_gradio_space_and_its_address_is_told(uploaded):
    hub, done = uploaded
    assert hub.created == [{"type": "space", "sdk": "gradio", "name": SPACE}]
    assert done.stdout.strip() == f"{hub.url}/spaces/{SPACE}"


def test_the_readme_describes_the_space_that_the_demo_was_tested_in():
    header = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]
    wanted = re.search(r"^gradio\S*==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)[1]
    lines = dict(line.split(": ", 1) for line in header.splitlines() if ": " in line)
    assert lines["sdk"] == "gradio"
    assert lines["sdk_version"] == wanted
    assert (ROOT / lines["app_file"]).is_file()
    assert len(lines["short_description"]) <= 60
    assert lines["suggested_hardware"] == "cpu-basic"


def test_a_new_deployment_deletes_what_only_an_earlier_one_needed_and_nothing_else(tmp_path):
    with running_hub() as hub:
        assert deploy(hub, tmp_path).returncode == 0
        repo = hub.repos[SPACE]
        new = dict(repo.files)
        by_hand = {"notes.md": b"mine", ".gitattributes": b"*.safetensors filter=lfs"}
        old = {
            "simswap/demo/renamed.py": b"",
            "assets/models/old/generator.safetensors": b"\0" * 20_000,
        }
        edited = {"simswap/demo/edited.py": b"first"}
        title = repo.commits[-1][0]
        repo.commits += [
            (title, {**new, **old, **edited}),
            ("Edit by hand", {**new, **old, **by_hand, "simswap/demo/edited.py": b"second"}),
        ]
        done = deploy(hub, tmp_path)
        assert done.returncode == 0, done.stderr
        assert repo.files == {**new, **by_hand, "simswap/demo/edited.py": b"second"}
        assert len(repo.commits) == 5  # the new files and the deletions are one
        assert "Deleting 2 of an earlier deployment's files: assets/models/old/" in done.stderr
        assert (
            "Left alone, since no deployment wrote them: notes.md, simswap/demo/edited.py"
            in done.stderr
        )


def test_deploying_the_same_again_deletes_nothing(tmp_path):
    with running_hub() as hub:
        first, second = deploy(hub, tmp_path), deploy(hub, tmp_path)
        assert (first.returncode, second.returncode) == (0, 0)
        assert "Deleting" not in first.stderr + second.stderr
        assert "Left alone" not in first.stderr + second.stderr
        assert set(hub.repos[SPACE].files) == {path.as_posix() for path in files_of_space()}


@pytest.mark.parametrize(("private", "secret"), [(False, 0), (True, 1)])
def test_a_space_may_take_a_model_of_the_hub_at_each_start(tmp_path, private, secret):
    with running_hub() as hub:
        hub.repos["user/name"] = Repo(private, [("Step 10", {"config.json": b"{}"})])
        done = deploy(hub, tmp_path, OWNER_TOKEN, "--model", "user/name")
        assert done.returncode == 0, done.stderr
        assert hub.variables == {"SIMSWAP_MODEL": "user/name"}
        assert done.stderr.count("add a secret HF_TOKEN to the Space") == secret


@pytest.mark.parametrize("model", ["user/missing", "runs/smoke/bundle"])
def test_a_model_that_the_hub_does_not_have_is_told_before_anything_is_uploaded(tmp_path, model):
    with running_hub() as hub:
        done = deploy(hub, tmp_path, OWNER_TOKEN, "--model", model)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Error: The Hub does not give the model {model}. Check the name" in done.stderr
        assert hub.repos == {}


@pytest.mark.parametrize(
    ("token", "sentence"),
    [(None, "There is no Hugging Face token"), (READER_TOKEN, "The Hub did not take")],
)
def test_a_token_that_may_not_write_is_told(tmp_path, token, sentence):
    with running_hub() as hub:
        done = deploy(hub, tmp_path, token)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"Error: {sentence}" in done.stderr
        assert hub.repos == {}


def test_a_dry_run_only_lists_the_files(tmp_path):
    with running_hub() as hub:
        done = deploy(hub, tmp_path, OWNER_TOKEN, "--dry-run")
        assert done.stdout.split() == [str(path) for path in files_of_space()]
        assert hub.requests == []
