"""Whatever a call names as a file, only uploads are read, kept track of, or deleted."""

import asyncio
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.support.demo.demo_server import running_demo
from tests.support.demo.raw_requests import JSON, ask, form
from tests.support.examples import EXAMPLES, ROOT

pytestmark = pytest.mark.slow

# The demo, in which a file is old after a second.
HURRIED = """
from simswap.demo.process import retention
retention.MAX_AGE = retention.INTERVAL = 1
import app
app.main()
"""
META = {"meta": {"_type": "gradio.FileData"}}
OWN = "/gradio_api/file="


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A checkout of the test's own, all of whose files are hours old."""
    folder = tmp_path_factory.mktemp("checkout") / "simswap"
    kept_out = shutil.ignore_patterns(".git", "__pycache__", "tests", "train", "runs", ".*_cache")
    shutil.copytree(ROOT, folder, ignore=kept_out)
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 9000,) * 2)
    (folder / "hurried.py").write_text(HURRIED)
    return folder


@pytest.fixture(scope="module")
def hurried(checkout, quick_folder, tmp_path_factory):
    """The demo of that checkout."""
    folder = tmp_path_factory.mktemp("hurried")
    script, model = checkout / "hurried.py", str(quick_folder)
    with running_demo(folder, script, SIMSWAP_MODEL=model) as url:
        yield url, folder


def call(url: str, *data: object, endpoint: str = "detect_faces") -> str:
    """What the server streams as the answer."""
    path = f"/gradio_api/call/{endpoint}"
    _, body = ask(url, "POST", path, json.dumps({"data": data}).encode(), JSON)
    return ask(url, "GET", f"{path}/{json.loads(body)['event_id']}")[1].decode()


def wait_until_an_upload_is_gone(url: str) -> None:
    """Two rounds of clean-up: what may be deleted has been."""
    for content in (b"first", b"second"):
        body, headers = form((f"{content.decode()}.txt", content))
        (path,) = json.loads(ask(url, "POST", "/gradio_api/upload", body, headers)[1])
        while Path(path).exists():
            time.sleep(0.1)


def test_no_call_has_a_file_deleted_that_is_not_its_own(hurried, checkout, tmp_path):
    url, folder = hurried
    outside, link = tmp_path / "diary.txt", tmp_path / "link.jpg"
    outside.write_text("dear diary")
    link.symlink_to(outside)
    lock = next((folder / "uploads").glob("*/.lock"))
    example = checkout / "assets" / "examples" / "astronaut.jpg"
    victims = [outside, link, lock, checkout / "app.py", example]
    for victim in victims:
        for name in (
            str(victim),
            f"http://x{OWN}{victim}",
            f"https://x{OWN}{tmp_path}/../{victim}",
        ):
            for more in (META, {**META, "url": f"http://x{OWN}{victim}"}, {**META, "is_stream": 1}):
                assert "event: error" in call(url, {"path": name, **more}, 0.7, None)
            file = {"path": name, **META}
            assert "event: error" in call(url, [file], file, endpoint="swap_image")
    wait_until_an_upload_is_gone(url)
    assert [victim for victim in victims if not victim.exists()] == []


def test_an_example_is_a_copy_of_which_the_photo_is_independent(hurried, checkout):
    url, _ = hurried
    config = json.loads(ask(url, "GET", "/config")[1])
    (number,) = [one["id"] for one in config["dependencies"] if one["api_name"] == "load_example"]
    asked = {"data": [], "fn_index": number, "session_hash": "me", "event_data": {"example": 0}}
    assert ask(url, "POST", "/gradio_api/queue/join", json.dumps(asked).encode(), JSON)[0] == 200
    told = ask(url, "GET", "/gradio_api/queue/data?session_hash=me")[1].decode()
    assert "astronaut.jpg" in told
    assert str(checkout) not in told
    wait_until_an_upload_is_gone(url)
    assert {path.name for path in (checkout / "assets" / "examples").glob("*.jpg")} >= {
        path.name for path in EXAMPLES.glob("*.jpg")
    }


@pytest.mark.parametrize("number", [-1, 3, "0", None, {"path": "/etc/passwd"}])
def test_an_example_that_is_not_there_is_refused(number):
    from simswap import OptionError
    from simswap.demo.services import shipped

    with pytest.raises(OptionError, match="no such example"):
        shipped.copies(number)


def test_arguments_that_are_nested_too_deeply_are_refused():
    from gradio import Error

    from simswap.demo.calls import addresses

    nested = 0.7
    for _ in range(60):
        nested = [nested]
    with pytest.raises(Error, match="nested too deeply"):
        addresses.checked(nested)


@pytest.fixture
def upload(tmp_path, monkeypatch) -> str:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.jpg").touch()
    return str(tmp_path / "one" / "a.jpg")


def test_a_call_names_so_many_files_at_most(upload):
    from gradio import Error

    from simswap.demo.calls import addresses

    files = [{"path": upload}] * addresses.MAX_FILES
    addresses.check_number([files, {"people": 1}])
    with pytest.raises(Error, match="more than 150 files"):
        addresses.check_number([files, {"people": [{"image": {"path": upload}}]}])


def test_a_path_that_turns_back_is_no_uploads(upload):
    from simswap.demo.calls import addresses

    folder = Path(upload).parent
    assert addresses.path_of_upload(upload) == Path(upload)
    assert addresses.path_of_upload(f"{folder}/../one/a.jpg") is None


def test_a_function_of_the_page_gets_no_more_values_and_files_than_it_takes():
    import gradio as gr

    from simswap.demo.calls.page import Page

    with Page() as page:
        gr.Button().click(lambda text: text, gr.Textbox(), gr.Textbox(), api_visibility="private")
    assert asyncio.run(page.process_api(page.fns[0], ["a"]))["data"] == ["a"]
    with pytest.raises(gr.Error, match="takes 1 values; 2 came"):
        asyncio.run(page.process_api(page.fns[0], ["a", {"path": "/etc/passwd"}]))
    files = [{"path": "/etc/passwd"}] * 151
    with pytest.raises(gr.Error, match="more than 150 files"):
        asyncio.run(page.process_api(page.fns[0], [files]))


def test_what_a_mistaken_call_sends_is_not_logged(demo_url, demo_folder):
    assert "detect_faces takes 3 values" in call(demo_url, "SECRET-face.jpg")
    log = (demo_folder / "demo.log").read_text()
    assert "Traceback" not in log
    assert "SECRET" not in log
