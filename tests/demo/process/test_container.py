"""The recipe of a container holds what a Space gets, by the README's versions."""

import re
from pathlib import Path

from simswap.cli.deploy import FOLDERS, TOP_FILES

ROOT = Path(__file__).parents[3]
RECIPE = (ROOT / "Dockerfile").read_text()


def test_a_container_gets_what_a_space_gets():
    copied = [
        name for line in re.findall(r"^COPY (.+) \S+$", RECIPE, re.M) for name in line.split()
    ]
    assert sorted(copied) == sorted({*TOP_FILES, *FOLDERS, "constraints.txt"})
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.M)
    assert sorted(let_in) == sorted(copied)


def test_a_container_has_the_python_of_a_space():
    [version] = re.findall(r'^python_version: "(.+)"$', (ROOT / "README.md").read_text(), re.M)
    assert f"FROM python:{version}-slim" in RECIPE


def test_a_container_installs_the_pinned_versions_and_ends_as_nobody_in_particular():
    assert "pip install --no-cache-dir -r requirements.txt -c constraints.txt" in RECIPE
    assert (
        RECIPE.index("pip install") < RECIPE.index("USER visitor") < RECIPE.index('CMD ["python"')
    )
