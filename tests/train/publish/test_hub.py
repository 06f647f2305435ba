"""Pushing a run's bundle and loading it again, against a Hub on this machine's loopback address."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from simswap import ModelError
from simswap.weights.bundle import load_bundle, save_bundle
from tests.support.demo.hub_server import OWNER_TOKEN, READER_TOKEN, Hub, Repo, running_hub
from tests.support.waiting import wait_until
from train.errors import TrainingError
from train.publish.hub import HubPusher

REPO = "user/tiny"
COMMIT = "/commit/"
SOON = 20.0  # seconds, more than any push here needs
# The client library's own, from its way of uploading a large file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A running server that the client library in this process takes for the Hub."""
    with running_hub() as hub:
        settings = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "no-token"),
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", OWNER_TOKEN)
        yield hub


def make_pusher(**options: object) -> HubPusher:
    return HubPusher(REPO, **{"first_delay": 0.01, **options})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def messages(hub: Hub) -> list[str]:
    return [message for message, _ in hub.repos[REPO].commits[1:]]


def num_requests(hub: Hub, part: str) -> int:
    return sum(part in path for _, path in hub.requests)


def wait_for_commit(hub: Hub) -> None:
    wait_until(lambda: num_requests(hub, COMMIT) > 0, SOON)


def test_a_push_arrives_byte_for_byte_in_one_commit(hub, tiny_folder):
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    assert messages(hub) == ["Step 10"]
    assert hub.repos[REPO].files == contents(tiny_folder)
    assert hub.objects  # the weights went the way of large files


def test_a_pushed_bundle_is_loaded_by_its_repo_id(hub, tiny_folder, tiny_bundle):
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    assert load_bundle(REPO).config == tiny_bundle.config


def test_a_later_push_replaces_what_is_there(hub, tiny_folder, tiny_bundle):
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    save_bundle(tiny_bundle, tiny_folder, "# Later\n")
    pusher.push(tiny_folder, "Step 20")
    assert pusher.close(SOON)
    assert messages(hub) == ["Step 10", "Step 20"]
    assert hub.repos[REPO].files == contents(tiny_folder)


@pytest.mark.parametrize("status", [503, 429, 0])
def test_a_burst_of_errors_is_retried_and_the_push_arrives(hub, tiny_folder, status):
    pusher = make_pusher()
    hub.fail(3, COMMIT, status)
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    assert hub.repos[REPO].files == contents(tiny_folder)
    assert num_requests(hub, COMMIT) == 4


def test_attempts_lie_ever_further_apart(hub, tiny_folder):
    pusher = make_pusher(first_delay=0.1, attempts=3)
    hub.fail(2, COMMIT)
    started = time.perf_counter()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    assert time.perf_counter() - started >= 0.3


def test_a_push_that_always_fails_is_a_warning(hub, tiny_folder, caplog):
    pusher = make_pusher(attempts=3)
    hub.fail(99, COMMIT)
    pusher.push(tiny_folder, "Step 10")
    assert not pusher.close(SOON)
    assert num_requests(hub, COMMIT) == 3
    assert "'Step 10' did not reach user/tiny after 3 of 3 attempts" in caplog.text
    assert f"hf upload {REPO} {tiny_folder} ." in caplog.text


def test_after_a_failed_push_the_next_one_arrives(hub, tiny_folder):
    pusher = make_pusher(attempts=1)
    hub.fail(1, COMMIT)
    pusher.push(tiny_folder, "Step 10")
    assert not pusher.close(SOON)
    pusher.push(tiny_folder, "Step 20")
    assert pusher.close(SOON)
    assert messages(hub) == ["Step 20"]


@pytest.mark.parametrize("path", [COMMIT, "/large/"])
def test_what_the_hub_refuses_for_good_is_not_tried_again(hub, tiny_folder, caplog, path):
    pusher = make_pusher()
    hub.fail(1, path, status=403)
    pusher.push(tiny_folder, "Step 10")
    assert not pusher.close(SOON)
    assert num_requests(hub, path) == 1
    assert "403 Forbidden" in caplog.text


def test_a_push_holds_the_folder_as_it_was(hub, tiny_folder):
    pusher = make_pusher(first_delay=0.5)
    before = contents(tiny_folder)
    hub.fail(1, COMMIT)
    pusher.push(tiny_folder, "Step 10")
    wait_for_commit(hub)
    (tiny_folder / "README.md").write_text("# Written before the second attempt\n")
    assert pusher.close(SOON)
    assert hub.repos[REPO].files == before


def test_of_waiting_pushes_the_newest_is_uploaded(hub, tiny_folder):
    pusher = make_pusher()
    hub.gate.clear()
    pusher.push(tiny_folder, "Step 10")
    wait_for_commit(hub)
    for step in (20, 30, 40):
        (tiny_folder / "README.md").write_text(f"# Step {step}\n")
        pusher.push(tiny_folder, f"Step {step}")
    hub.gate.set()
    assert pusher.close(SOON)
    assert messages(hub) == ["Step 10", "Step 40"]


def test_a_newer_push_does_not_wait_for_an_older_one_to_be_given_up(hub, tiny_folder):
    pusher = make_pusher(first_delay=60)
    hub.fail(1, COMMIT)
    pusher.push(tiny_folder, "Step 10")
    wait_for_commit(hub)
    pusher.push(tiny_folder, "Step 20")
    assert pusher.close(SOON)
    assert messages(hub) == ["Step 20"]


def test_closing_waits_no_longer_than_asked_and_says_so(hub, tiny_folder, caplog):
    pusher = make_pusher()
    hub.gate.clear()
    pusher.push(tiny_folder, "Step 10")
    assert not pusher.close(0.1)
    assert "did not arrive in 0.1 s" in caplog.text
    hub.gate.set()
    assert pusher.close(SOON)  # it was slow, not lost


def test_closing_without_a_push_is_fine(hub):
    assert make_pusher().close(SOON)


def test_only_the_files_of_a_bundle_are_pushed(hub, tiny_folder):
    (tiny_folder / "samples.png").write_bytes(b"a picture")
    expected = contents(tiny_folder)
    for name in ("token", ".env", "optimizer.bin", "notes.txt"):
        (tiny_folder / name).write_text("hf_secret")
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    assert hub.repos[REPO].files == expected


def test_a_folder_that_is_no_whole_bundle_is_a_warning(hub, tiny_folder, caplog):
    (tiny_folder / "generator.safetensors").unlink()
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert not pusher.close(SOON)
    assert "generator.safetensors" in caplog.text
    assert not messages(hub)


def test_the_token_is_never_logged(hub, tiny_folder, caplog):
    caplog.set_level(logging.DEBUG)
    pusher = make_pusher(attempts=2)
    hub.fail(2, COMMIT)
    pusher.push(tiny_folder, "Step 10")
    pusher.close(SOON)
    assert OWNER_TOKEN not in caplog.text


def test_the_snapshots_are_deleted(hub, tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    pusher = make_pusher()
    for step in range(3):
        pusher.push(tiny_folder, f"Step {step}")
    assert pusher.close(SOON)
    assert not any((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("exists", [True, False])
def test_a_token_that_may_only_read_is_found_before_training(hub, monkeypatch, exists):
    if exists:
        hub.repos[REPO] = Repo(False, [("initial commit", {})])
    monkeypatch.setenv("HF_TOKEN", READER_TOKEN)
    with pytest.raises(TrainingError, match=r"may not write to user/tiny.*write rights"):
        make_pusher()


def test_a_missing_token_is_found_before_training(hub, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TrainingError, match=r"There is no Hugging Face token.*hf auth login"):
        make_pusher()


def test_a_token_that_the_hub_does_not_know_is_found_before_training(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_revoked")
    with pytest.raises(TrainingError, match="does not accept the token"):
        make_pusher()


@pytest.mark.parametrize("repo_id", ["tiny", "a/b/c", "user/ti ny", "user/tiny--x"])
def test_an_odd_repo_id_is_named(hub, repo_id):
    with pytest.raises(TrainingError, match=repo_id):
        HubPusher(repo_id, first_delay=60)


def test_a_hub_that_cannot_be_reached_is_found_before_training(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(TrainingError, match="could not be asked about user/tiny"):
        make_pusher()


def test_a_hiccup_of_the_hub_does_not_keep_a_run_from_starting(hub):
    hub.fail(2, "/api/repos/create")
    make_pusher()
    assert REPO in hub.repos


def test_a_private_repo_is_made_private(hub):
    make_pusher(private=True)
    assert hub.repos[REPO].private


def test_private_weights_are_not_pushed_to_a_public_repo(hub):
    make_pusher()
    with pytest.raises(TrainingError, match="public already"):
        make_pusher(private=True)


def test_a_repo_that_is_not_on_the_hub_is_a_model_error(hub):
    with pytest.raises(ModelError, match=r"nobody/nothing .*404.*hf auth login"):
        load_bundle("nobody/nothing")


def test_a_repo_that_may_not_be_read_is_a_model_error(hub):
    hub.fail(2, status=403)
    with pytest.raises(ModelError, match=r"403 Forbidden"):
        load_bundle("user/gated")


def test_a_repo_without_a_bundle_is_a_model_error(hub):
    hub.repos["user/empty"] = Repo(False, [("initial commit", {"notes.txt": b"x"})])
    with pytest.raises(ModelError, match=r"no model bundle"):
        load_bundle("user/empty")


def test_a_loaded_repo_needs_no_hub_again(hub, tiny_folder):
    pusher = make_pusher()
    pusher.push(tiny_folder, "Step 10")
    assert pusher.close(SOON)
    load_bundle(REPO)
    hub.fail(99)
    assert load_bundle(REPO).name == "tiny"
