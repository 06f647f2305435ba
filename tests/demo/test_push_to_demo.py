"""From a training to a Space that serves its model: README's three commands, on a local Hub."""

import json
import re
import shlex
from pathlib import Path

import pytest
from gradio_client import Client, handle_file

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.demo.demo_server import running_demo
from tests.support.demo.hub_server import Hub, running_hub
from tests.support.examples import EXAMPLES, ROOT
from tests.support.warm_python import run_warm

pytestmark = pytest.mark.slow
PROGRAMS = {
    ".venv/bin/python": [],
    ".venv/bin/accelerate": ["-m", "accelerate.commands.accelerate_cli"],
}
FEWER_STEPS = ("--num-steps", "2", "--sample-every", "2", "--num-workers", "0")


def commands_of_readme() -> list[tuple[dict[str, str], list[str]]]:
    """The variables and the arguments of Python in each command in the block that pushes."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [block] = [each for each in re.findall(r"```sh\n(.*?)```", readme, re.S) if "--push" in each]
    commands = []
    for line in block.splitlines():
        words = shlex.split(line)
        variables = [word for word in words if re.match(r"[A-Z_]+=", word)]
        program, *rest = words[len(variables) :]
        given = dict(word.split("=", 1) for word in variables)
        commands.append((given, [*PROGRAMS[program], *rest]))
    return commands


def run(command: list[str], hub: Hub, home: Path) -> None:
    settings = {"TQDM_DISABLE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = run_warm(*command, variables=settings | hub.environment(home))
    assert done.returncode == 0, done.stderr[-2000:]


def model_that_swaps(folder: Path, script: Path, **more: str) -> str:
    """Start the demo, swap a photo, and give the name of the model that did it."""
    with running_demo(folder, script, **more) as url:
        client = Client(url, verbose=False, download_files=folder)
        _, summary = client.predict(
            source=[handle_file(EXAMPLES / "grace_hopper.jpg")],
            target=handle_file(EXAMPLES / "astronaut.jpg"),
            api_name="/swap_image",
        )
        assert summary["swapped"] == [0]
        info = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    [parameter] = [
        each for each in info["/swap_image"]["parameters"] if each["parameter_name"] == "model"
    ]
    [name] = parameter["type"]["enum"]
    return name


@pytest.mark.timeout(900)
def test_what_a_run_pushes_is_served_here_and_by_a_space_where_a_restart_takes_the_newest(tmp_path):
    (_, train), (variables, serve), (_, deploy) = commands_of_readme()
    with running_hub() as hub:
        run([*train, *FEWER_STEPS, "--output", str(tmp_path / "run")], hub, tmp_path / "trainer")
        pushed, visitor = hub.repos["user/name"], hub.environment(tmp_path / "visitor", None)
        assert serve == ["app.py"]
        assert (
            model_that_swaps(tmp_path, ROOT / "app.py", **variables, **visitor) == "simswap-smoke"
        )

        run(deploy, hub, tmp_path / "trainer")
        hub.repos["user/demo"].write_into(tmp_path / "space")
        newer = json.loads(pushed.files["config.json"]) | {"name": "newer"}
        files = pushed.files | {"config.json": json.dumps(newer).encode()}
        pushed.commits.append(("Step 4", files))
        start = tmp_path / "space" / "app.py"
        assert model_that_swaps(tmp_path, start, **hub.variables, **visitor) == "newer"
