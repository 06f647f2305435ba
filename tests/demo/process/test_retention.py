"""What a session leaves behind: nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from simswap.demo.process import retention
from tests.support.demo.demo_server import paths_below, running_demo
from tests.support.examples import EXAMPLES, ROOT

SECRET = "Anna-Karenina"
HOLD = (
    "import sys; from simswap.demo.process.retention import private_folder; "
    "print(private_folder(), flush=True)"
)


def listed(folder: Path) -> list[str]:
    """All files but the compiled networks, which are of the model and of no visitor."""
    files = sorted(path.relative_to(folder) for path in paths_below(folder) if path.is_file())
    compiled = Path("signing", "compiled")
    return [str(file) for file in files if file.parent != compiled or file.suffix != ".openvino"]


@pytest.fixture(scope="module")
def session(quick_folder, tmp_path_factory) -> tuple[Path, list[str]]:
    """A sandbox in which the demo ran and ended, and what lay in it while it ran.

    Home, temporary folder and uploads are all in there.
    """
    box = tmp_path_factory.mktemp("session")
    for name in ("home", "tmp"):
        (box / name).mkdir()
    sent = tmp_path_factory.mktemp("sent")
    exif = Image.Exif()
    exif[0x010E] = SECRET
    for name in ("source", "target"):
        photo = Image.open(EXAMPLES / "astronaut.jpg")
        photo.save(sent / f"{SECRET}-{name}.jpg", exif=exif)
    (sent / f"{SECRET}.jpg").write_text("no photo")
    places = {"HOME": str(box / "home"), "TMPDIR": str(box / "tmp"), "XDG_DATA_HOME": ""}
    places |= {"SIMSWAP_HOME": str(box / "signing"), "SIMSWAP_MODEL": str(quick_folder)}
    with running_demo(box, **places) as url:
        client = Client(url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))
        faces = [handle_file(sent / f"{SECRET}-{name}.jpg") for name in ("source", "target")]
        for format in ("png", "jpeg"):
            photo, _ = client.predict(faces[0], faces[1], format=format, api_name="/swap_image")
        client.predict(handle_file(photo), api_name="/verify")
        with pytest.raises(AppError):
            client.predict(handle_file(sent / f"{SECRET}.jpg"), api_name="/detect_faces")
        meanwhile = listed(box)
    return box, meanwhile


@pytest.mark.slow
def test_uploads_and_results_lie_in_one_folder_while_the_demo_runs(session):
    _, meanwhile = session
    others = [name for name in meanwhile if retention.PREFIX not in name]
    assert others == ["demo.log", "signing/signer.pem"]
    assert len([name for name in meanwhile if SECRET in name]) >= 3


@pytest.mark.slow
def test_when_it_ends_only_the_certificate_and_the_log_are_left(session):
    box, _ = session
    assert listed(box) == ["demo.log", "signing/signer.pem"]
    assert [path.name for path in (box / "uploads").iterdir()] == []


@pytest.mark.slow
def test_neither_disk_nor_log_tells_of_a_face_or_a_file(session):
    box, _ = session
    for path in paths_below(box):
        content = path.read_bytes() if path.is_file() else b""
        assert SECRET.encode() not in content
        assert not any(word in content.lower() for word in (b"face", b"embedding", b".jpg"))


@pytest.mark.slow
def test_the_log_holds_no_more_than_the_address(session):
    box, _ = session
    lines = (box / "demo.log").read_text().split("\n")
    expected = ("* Running on local URL", "* To create a public link", "")
    assert [line for line in lines if not line.strip().startswith(expected)] == []


def test_files_stay_for_an_hour_and_then_go(tmp_path, monkeypatch):
    (tmp_path / "job" / "deep").mkdir(parents=True)
    (tmp_path / "job" / "deep" / "photo.png").write_text("pixels")
    (tmp_path / retention.LOCK).touch()
    now = time.time()
    monkeypatch.setattr(
        "simswap.demo.process.retention.time.time", lambda: now + retention.MAX_AGE - 60
    )
    retention.sweep(tmp_path)
    assert listed(tmp_path) == [retention.LOCK, "job/deep/photo.png"]
    monkeypatch.setattr(
        "simswap.demo.process.retention.time.time", lambda: now + retention.MAX_AGE + 60
    )
    retention.sweep(tmp_path)
    assert listed(tmp_path) == [retention.LOCK]


def test_an_upload_that_is_named_like_the_lock_goes_too(tmp_path):
    (tmp_path / "abc").mkdir()
    (tmp_path / "abc" / retention.LOCK).write_text("pixels")
    retention.sweep(tmp_path, max_age=-60)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_empty_stays_as_long_as_a_file(tmp_path):
    (tmp_path / "job").mkdir()
    retention.sweep(tmp_path)
    assert (tmp_path / "job").is_dir()


def start(base: Path) -> tuple[subprocess.Popen, Path]:
    """A process that holds a folder until it is ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HOLD}; sys.stdin.read()"],
        cwd=ROOT,
        env={**os.environ, "GRADIO_TEMP_DIR": str(base)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, Path(process.stdout.readline().strip())


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT", "KILL"])
def test_however_a_run_ends_its_files_go(tmp_path, name):
    process, folder = start(tmp_path)
    (folder / "photo.png").write_text("pixels")
    (folder / retention.UPLOADS / "deep").mkdir()
    (folder / retention.UPLOADS / "deep" / "photo.png").write_text("pixels")
    number = getattr(signal, f"SIG{name}")
    process.send_signal(number)
    process.communicate()
    if number == signal.SIGKILL:  # nobody can clean up then; the next run does
        retention.remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


PAIRS = [
    ("TERM", "TERM"),
    ("HUP", "TERM"),
    ("TERM", "INT", "QUIT"),
    ("INT", "INT"),
    ("INT", "TERM"),
]


@pytest.mark.slow
@pytest.mark.parametrize("names", PAIRS)
def test_a_second_signal_does_not_stop_the_clean_up(tmp_path, names):
    process, folder = start(tmp_path)
    for number in range(2000):
        (folder / retention.UPLOADS / f"{number}.png").write_text("pixels")
    for name in names:
        process.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.01)
    process.communicate()
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_was_to_be_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        process, folder = start(tmp_path)
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    assert process.poll() is None
    process.communicate()
    assert not folder.exists()


def fifo_as_lock(folder: Path) -> None:
    os.mkfifo(folder / retention.LOCK)


def link_as_lock(folder: Path) -> None:
    (folder / "real").write_bytes(retention.LOCK_TEXT)
    (folder / retention.LOCK).symlink_to(folder / "real")


def folder_as_lock(folder: Path) -> None:
    (folder / retention.LOCK).mkdir()


def empty_lock(folder: Path) -> None:
    (folder / retention.LOCK).touch()


def no_lock(folder: Path) -> None:
    pass


def test_folders_that_no_demo_has_made_neither_stop_a_start_nor_are_removed(tmp_path):
    makers = (fifo_as_lock, link_as_lock, folder_as_lock, empty_lock, no_lock)
    for number, make in enumerate(makers):
        for name in ("x", "1234567"):  # shorter than a demo's, and as long
            made = tmp_path / f"{retention.PREFIX}{name}{number}"
            made.mkdir()
            (made / "thesis.txt").write_text("words")
            make(made)
    before = sorted(tmp_path.rglob("*"))
    process, folder = start(tmp_path)
    process.communicate(timeout=60)
    assert not folder.exists()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can do it")
@pytest.mark.parametrize("what", ["", retention.LOCK])
def test_the_folder_of_another_user_is_left_alone(tmp_path, what):
    made = tmp_path / f"{retention.PREFIX}12345678"
    made.mkdir()
    (made / retention.LOCK).write_bytes(retention.LOCK_TEXT)
    os.chown(made / what, 12345, 12345)
    retention.remove_leftovers(tmp_path)
    assert made.is_dir()


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / retention.LOCK).write_bytes(retention.LOCK_TEXT)
    (tmp_path / f"{retention.PREFIX}12345678").symlink_to(real)
    retention.remove_leftovers(tmp_path)
    assert listed(real) == [retention.LOCK]


def test_temporary_files_lie_in_the_folder_and_not_among_uploads(tmp_path):
    script = (
        "import os, subprocess, tempfile; from simswap.demo.process import retention;"
        "tempfile.gettempdir();"
        "os.environ.update(retention.variables(retention.private_folder()));"
        "print(tempfile.mkdtemp()); print(tempfile.NamedTemporaryFile().name, flush=True);"
        "subprocess.run(['mktemp'], check=True)"
    )
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(tmp_path), "TMPDIR": str(tmp_path / "no")}
    command = [sys.executable, "-c", script]
    said = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    places = [Path(line).parent for line in said.splitlines()]
    assert [place.name for place in places] == [retention.TEMPORARY] * 3
    assert {place.parent.parent for place in places} == {tmp_path}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_demo_that_is_ended_while_it_works_logs_nothing_and_leaves_nothing(
    quick_folder, tmp_path, long_face_clip
):
    with running_demo(tmp_path, SIMSWAP_MODEL=str(quick_folder)) as url:
        client = Client(url, verbose=False, download_files=tmp_path / "downloads")
        photo = handle_file(EXAMPLES / "astronaut.jpg")
        jobs = [client.submit(photo, handle_file(long_face_clip), api_name="/swap_video")]
        jobs += [client.submit(photo, photo, api_name="/swap_image") for _ in range(3)]
        while not jobs[0].outputs():
            time.sleep(0.05)
    lines = (tmp_path / "demo.log").read_text().splitlines()
    assert [line for line in lines if not line.startswith(("* ", "🔨")) and line] == []
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_run_leaves_the_files_of_another_alone(tmp_path):
    process, folder = start(tmp_path)
    retention.remove_leftovers(tmp_path)
    assert folder.is_dir()
    process.communicate()
    assert not folder.exists()


def test_only_its_owner_may_read_the_folder(tmp_path):
    process, folder = start(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    process.communicate()


def test_paths_of_deleted_files_are_forgotten(tmp_path):
    kept, gone = tmp_path / "kept", tmp_path / "gone"
    kept.touch()
    paths = {str(kept), str(gone)}
    retention.forget_deleted(paths)
    assert paths == {str(kept)}
