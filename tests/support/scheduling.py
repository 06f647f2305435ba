"""Which tests run in the same one of several processes, and which begin."""

from collections import Counter

import pytest
from xdist.scheduler import LoadFileScheduling

# Each has something dear that its tests share: a demo and a browser, a demo, data and a process
# that has imported what trainings need. None is more than a fourth of the whole, so that work can
# be shared out evenly; what lies in another one's folder comes first.
SUBJECTS = ("tests/demo/pages/", "tests/demo/", "tests/train/")


def scope_of(nodeid: str) -> str:
    """The subject or the file whose tests stay together."""
    file = nodeid.split("::")[0]
    return next((subject for subject in SUBJECTS if file.startswith(subject)), file)


def longest_first(items: list[pytest.Item]) -> None:
    """Let scopes with many slow tests come first: none is then left over for the end."""
    slow = Counter(scope_of(item.nodeid) for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[scope_of(item.nodeid)])


class SubjectScheduling(LoadFileScheduling):
    """Gives scopes to processes in the order in which they are collected."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by their numbers of tests

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
