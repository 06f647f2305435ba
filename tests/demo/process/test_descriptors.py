"""How many files and connections the demo may have open."""

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows has no such limits")

PROGRAM = """
import resource
from simswap.demo.process.descriptors import allow_more
resource.setrlimit(resource.RLIMIT_NOFILE, (200, {hard}))
allow_more()
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("hard", [200, 900])
def test_the_demo_has_as_many_open_as_the_system_lets_it(hard):
    program = [sys.executable, "-c", PROGRAM.format(hard=hard)]
    told = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    assert told.strip() == str((hard, hard))
