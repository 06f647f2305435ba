"""The documents name only what exists: files, modules, and the settings that the code reads."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for part in (".", "docs", "train", "assets") for path in (ROOT / part).glob("*.md")
)
CODE = [path for part in ("simswap", "train") for path in (ROOT / part).rglob("*.py")]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
FILE = re.compile(r"(?:^|[\s`(])((?:simswap|train|tests|docs|assets)/[\w./-]+\.\w+)")
MODULE = re.compile(r"python3? -m ((?:simswap|train)[\w.]*)")
SETTING = re.compile(r"\bSIMSWAP_[A-Z_]+")


def anchor(heading: str) -> str:
    """How GitHub names a heading in a link."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path):
    for target, heading in LINK.findall(path.read_text(encoding="utf-8")):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), f"{target}#{heading}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_or_module_that_is_named_exists(path):
    text = path.read_text(encoding="utf-8")
    assert [name for name in FILE.findall(text) if not (ROOT / name).exists()] == []
    modules = {name.rstrip(".") for name in MODULE.findall(text)}
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_every_setting_is_documented_and_every_documented_one_is_read():
    code = set(SETTING.findall("".join(path.read_text(encoding="utf-8") for path in CODE)))
    documents = {
        name for path in DOCUMENTS for name in SETTING.findall(path.read_text(encoding="utf-8"))
    }
    assert documents == code
