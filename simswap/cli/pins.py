"""Exact versions of what the demo's requirements bring with them, as they are installed here.

requirements.txt names what we use ourselves. What that needs in turn, such as the web server, comes
in whatever version is newest on the day, unless constraints.txt pins it.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.errors import OptionError
from simswap.files import write_whole

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
REQUIREMENTS, CONSTRAINTS = ROOT / "requirements.txt", ROOT / "constraints.txt"
HEAD = (
    "# What requirements.txt brings with it, in the versions that it was tested with. Written by\n"
    "# `python -m simswap deploy --pin`; use it as `pip install -r requirements.txt -c "
    "constraints.txt`.\n"
)
# In place of our pins where a GPU is lent call by call (ZeroGPU): the newest torch that is offered
# there, and what it does not go with.
OF_ZERO_GPU = {"torch": "torch==2.11.0", "setuptools": "setuptools<82"}
# Builds of torch for a GPU bring these, pinned by torch itself; others must not ask for them.
_OF_TORCH = re.compile(r"(nvidia|cuda|triton|pytorch-triton)(-.*)?")


def installed_pins() -> dict[str, str]:
    """Name and version of each package that the requirements need, less those that they name.

    Raises OptionError, naming it, if one is not installed.
    """
    own = _requirements()
    here = [each for each in own if each.marker is None or each.marker.evaluate()]
    waiting, seen = [(requirement, "") for requirement in here], set()
    versions: dict[str, str] = {}
    while waiting:
        requirement, parent = waiting.pop()
        name = _normal(requirement.name)
        wanted = {(name, extra) for extra in ("", *requirement.extras)} - seen
        if _OF_TORCH.fullmatch(name) or not wanted:
            continue
        seen |= wanted
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError as error:
            raise OptionError(
                f"{name}, which {parent or 'requirements.txt'} needs, is not installed. Run `pip "
                "install -r requirements.txt` first."
            ) from error
        versions[name] = found.version.split("+")[0]
        extras = [extra for _, extra in wanted]
        waiting += [(needed, name) for needed in _needs(found, extras)]
    named = {_normal(requirement.name) for requirement in own}
    return {name: versions[name] for name in sorted(versions.keys() - named)}


def write_pins() -> str:
    """Write constraints.txt anew; gives its path. Raises OptionError if it cannot."""
    lines = [f"{name}=={version}\n" for name, version in installed_pins().items()]
    try:
        write_whole(CONSTRAINTS, (HEAD + "".join(lines)).encode())
    except OSError as error:
        raise OptionError(f"{CONSTRAINTS} cannot be written: {error.strerror}.") from error
    return str(CONSTRAINTS)


def pinned_requirements(for_shared_gpu: bool = False) -> bytes:
    """requirements.txt for a place that reads no other file, as a Space does: with all pins.

    Raises OptionError if a file is missing.
    """
    try:
        pinned = b"".join(path.read_bytes() for path in (REQUIREMENTS, CONSTRAINTS))
    except OSError as error:
        raise OptionError(
            f"{error.filename} is missing. Run deploy in a clone of the repository."
        ) from error
    for name, other in OF_ZERO_GPU.items() if for_shared_gpu else ():
        pinned = re.sub(rf"^{name}==\S+$".encode(), other.encode(), pinned, flags=re.MULTILINE)
    return pinned


def _requirements() -> list[Requirement]:
    from packaging.requirements import Requirement

    lines = [line.split("#")[0].strip() for line in REQUIREMENTS.read_text("utf-8").splitlines()]
    return [Requirement(line) for line in lines if line]


def _needs(found: metadata.Distribution, extras: list[str]) -> list[Requirement]:
    """What a package needs on this machine, with some of its extras ("" is the package alone)."""
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in found.requires or ()]
    return [
        item
        for item in needed
        if item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
