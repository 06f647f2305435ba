"""The shell where the machine lacks something: characters, a home, memory; and with odd files."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from simswap.__main__ import NOT_TOLD, main
from simswap.memory import is_out_of_memory
from simswap.provenance.signer import HOME
from tests.support.examples import EXAMPLES, ROOT
from tests.support.warm_python import run_warm

ASTRONAUT, HOPPER = str(EXAMPLES / "astronaut.jpg"), str(EXAMPLES / "grace_hopper.jpg")


def swap(output: object, target: object = ASTRONAUT) -> list[str]:
    return ["image", "--source", HOPPER, "--target", str(target), "--output", str(output)]


@pytest.mark.slow
def test_a_name_that_the_output_cannot_show_is_no_error(tmp_path):
    output = tmp_path / "写真.png"
    done = subprocess.run(
        [sys.executable, "-m", "simswap", *swap(output)],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"\\u5199\\u771f.png" + os.linesep.encode())
    assert output.is_file()


@pytest.fixture
def homeless(monkeypatch) -> None:
    """A user without an entry and without HOME, as containers make them."""
    for name in ("HOME", "USERPROFILE", "XDG_DATA_HOME", HOME):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7, raising=False)
    from simswap.provenance.signing import default_signer

    default_signer.cache_clear()
    yield
    default_signer.cache_clear()


def test_a_user_without_a_home_gets_an_unsigned_photo(homeless, tmp_path, capsys):
    assert main(swap(tmp_path / "out.png")) == 0
    assert "no Content Credentials: This user has no home folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_user_without_a_home_names_a_folder_for_a_download(homeless, capsys):
    assert main(["download", "--detector", "buffalo_l", "--accept-licence"]) == 1
    assert "Name a folder with --folder." in capsys.readouterr().err


def test_a_user_without_a_home_has_no_pack(homeless, tmp_path, monkeypatch):
    from simswap.faces.packs import find_pack

    monkeypatch.delenv("SIMSWAP_INSIGHTFACE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_pack() is None


STARVED = """
import resource, sys
from simswap.__main__ import main
from simswap import FaceSwapper
FaceSwapper.from_pretrained().warm_up()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + {megabytes} * 2**20,) * 2)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("megabytes", [20, 150])
def test_too_little_memory_is_one_sentence_and_nothing_is_left(tmp_path, megabytes):
    large = Image.open(ASTRONAUT).resize((7000, 7000))
    large.save(tmp_path / "large.jpg", quality=50)
    (tmp_path / "out").mkdir()
    done = run_warm(
        *("-c", STARVED.format(megabytes=megabytes)),
        *swap(tmp_path / "out" / "out.png", tmp_path / "large.jpg"),
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert list((tmp_path / "out").iterdir()) == []


def too_much_for_opencv() -> None:
    cv2.resize(np.zeros((1, 1), np.float64), (2**24, 2**23))


TOO_MUCH = {
    "numpy": lambda: np.zeros(2**50),
    "torch": lambda: torch.empty(2**50),
    "opencv": too_much_for_opencv,
    "python": lambda: bytearray(2**60),
}


@pytest.mark.parametrize("ask", TOO_MUCH.values(), ids=TOO_MUCH)
def test_each_librarys_lack_of_memory_is_known(ask):
    with pytest.raises((MemoryError, RuntimeError, cv2.error)) as told:
        ask()
    assert is_out_of_memory(told.value)


def test_an_error_that_memory_led_to_is_a_lack_of_memory():
    error = RuntimeError("frame 7")
    error.__cause__ = MemoryError()
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("frame 7"))


def make_odd(folder: Path) -> dict[str, str]:
    """Paths of what is no ordinary file, and names that are none."""
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    (folder / "broken").symlink_to(folder / "nowhere")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "zero").symlink_to("/dev/zero")
    names = {name: str(folder / name) for name in ("pipe", "folder", "broken", "loop", "zero")}
    return names | {"long": "n" * 5000, "control": "\x1b]0;evil\x07\n", "empty": ""}


COMMANDS = {
    "verify": lambda path, _: ["verify", path],
    "faces": lambda path, _: ["faces", path],
    "image target": lambda path, out: swap(out / "out.png", path),
    "video target": lambda path, out: [
        *("video", "--source", HOPPER, "--target", path, "--output", str(out / "out.mp4"))
    ],
    "frames": lambda path, out: [
        *("video", "--frames", "--source", HOPPER, "--target", path, "--output", str(out / "o"))
    ],
    "generator": lambda path, out: [
        *("convert", "--generator", path, "--identity", path, "--output", str(out / "model"))
    ],
    "model": lambda path, _: ["faces", ASTRONAUT, "--model", path or "nothing"],
    "dash": lambda path, _: ["faces", "--", path],
}
ODD = ("pipe", "folder", "broken", "loop", "zero", "long", "control", "empty")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("kind", ODD)
def test_an_odd_file_is_one_printable_sentence(tmp_path, capsys, command, kind):
    (tmp_path / "out").mkdir()
    path = make_odd(tmp_path)[kind]
    words = command(path, tmp_path / "out")
    assert main(words) == (NOT_TOLD if words[0] == "verify" else 1)
    said = capsys.readouterr()
    last = said.err.removesuffix("\n").split("\n")[-1]
    assert last.startswith("Error: ")
    assert last.isprintable()
    assert said.out == ""
    assert list((tmp_path / "out").iterdir()) == []


OUTPUTS = {
    "image": lambda path, end: swap(f"{path}{end}"),
    "model": lambda path, end: [
        *("convert", "--generator", ASTRONAUT, "--identity", ASTRONAUT, "--output", f"{path}{end}")
    ],
}


@pytest.mark.parametrize("command", OUTPUTS.values(), ids=OUTPUTS)
@pytest.mark.parametrize("name", ["pipe.png", "folder.png", "lost.png", "loop.png", "n" * 300])
def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys, command, name):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "file").touch()
    (tmp_path / "lost.png").symlink_to(tmp_path / "nowhere" / "out.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    end = ".png" if name.startswith("n") else ""
    assert main(command(tmp_path / name, end)) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "Loading" not in said


@pytest.mark.parametrize(
    ("stdout", "code"), [(">&-", 1), pytest.param("> /dev/full", NOT_TOLD, id="full")]
)
def test_an_output_that_nobody_gets_is_no_traceback_and_no_other_verdict(stdout, code):
    command = f"{sys.executable} -m simswap verify --metadata-only {ASTRONAUT} {stdout}"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
