"""The shape of the code base itself: who may import whom, and how long things may get."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "simswap"
SOURCES = sorted(
    path for part in ("simswap", "train", "tests") for path in (ROOT / part).rglob("*.py")
) + sorted(ROOT.glob("*.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: a package imports from lower lines only, and from itself.
LAYERS = (
    {"simswap", "errors"},
    {"geometry", "memory", "models", "files", "cluster"},
    {"runtime", "types", "trial_run"},
    {"faces", "watermark", "provenance", "weights"},
    {"swap", "media"},
    {"deny_list", "video"},
    {"swapper", "verify"},
    {"cli", "demo"},
    {"__main__"},
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
PUBLIC_NAMES = {
    *("simswap.errors", "simswap.types", "simswap.swapper", "simswap.video.options"),
}
KNOWS_THE_HUB = ("simswap.weights.bundle", "simswap.cli.deploy")
WITHOUT_NETWORKS = ("media", "provenance", "video/source", "types", "files", "geometry")
MOST_FILES = 12  # of a folder


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module", autouse=True)
def forgotten_nodes() -> Iterator[None]:
    """They take a lot of memory."""
    yield
    nodes_of.cache_clear()


@cache
def imported_by(path: Path) -> frozenset[str]:
    """Dotted names of the modules that a file imports, at any depth."""
    names = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (ROOT / (full.replace(".", "/") + ".py")).is_file()
                names.add(full if is_module else node.module)
    return frozenset(names)


def roots_of(path: Path) -> set[str]:
    """Names of the packages that a file imports from."""
    return {name.split(".")[0] for name in imported_by(path)}


def package_of(module: str) -> str:
    """The file or folder of simswap that a module is or lies in."""
    return ([*module.split("."), "simswap"])[1]


def upward_imports(path: Path) -> set[str]:
    """What a module imports from packages that are not below its own."""
    own = package_of(module_name(path))
    imported = {name for name in imported_by(path) if name.split(".")[0] == "simswap"}
    others = {name for name in imported if package_of(name) != own}
    return {name for name in others if LAYER_OF[package_of(name)] >= LAYER_OF[own]}


def test_imports_follow_the_arrows():
    inner = [path for path in MODULES if module_name(path) != "simswap"]
    upward = {module_name(path): upward_imports(path) for path in inner}
    assert {module: names for module, names in upward.items() if names} == {}
    (package,) = set(MODULES) - set(inner)
    assert {name for name in imported_by(package) if "simswap" in name} == PUBLIC_NAMES


def test_every_package_has_its_place():
    assert {package_of(module_name(path)) for path in MODULES} == set(LAYER_OF)


def test_a_folder_is_one_subject():
    folders = {path.parent for path in SOURCES if path.parent != ROOT}
    assert [each for each in folders if len(list(each.glob("*.py"))) > MOST_FILES] == []


def test_networks_import_torch_only():
    allowed = sys.stdlib_module_names | {"torch", "simswap"}
    networks = (PACKAGE / "models").glob("*.py")
    assert [path for path in networks if not roots_of(path) <= allowed] == []


def test_the_package_never_imports_its_clients():
    assert [path for path in MODULES if roots_of(path) & {"train", "app", "tests"}] == []
    others = [path for path in MODULES if package_of(module_name(path)) != "demo"]
    assert [path for path in others if roots_of(path) & {"gradio", "spaces"}] == []


@pytest.mark.parametrize("part", WITHOUT_NETWORKS)
def test_files_and_values_know_no_networks(part):
    paths = [PACKAGE / f"{part}.py", *(PACKAGE / part).glob("*.py")]
    imported = set().union(*(imported_by(path) for path in paths if path.is_file()))
    assert imported
    assert not {name for name in imported if name.split(".")[0] == "torch" or "models" in name}


def test_only_the_bundle_and_deploy_know_the_hub():
    knowing = {module_name(path) for path in MODULES if "huggingface_hub" in roots_of(path)}
    assert knowing == set(KNOWS_THE_HUB)


def test_importing_the_package_does_not_load_torch():
    script = "import sys, simswap; simswap.SwapOptions(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_a_photo_loads_no_video_library():
    script = "import sys, simswap.swapper, simswap.media; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_is_there():
    import simswap

    assert all(hasattr(simswap, name) for name in simswap.__all__)
    with pytest.raises(AttributeError, match="FaceSwoper"):
        _ = simswap.FaceSwoper


def too_long(path: Path) -> Iterator[str]:
    """What of a file is too long: itself, or functions."""
    if len(path.read_text(encoding="utf-8").splitlines()) > 300:
        yield f"{path}"
    for node in nodes_of(path):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and node.end_lineno - node.lineno >= 50:
            yield f"{path}: {node.name}"


def test_files_and_functions_stay_short():
    assert [name for path in SOURCES for name in too_long(path)] == []


def calls_of(path: Path, function: str) -> list[ast.Call]:
    calls = (node for node in nodes_of(path) if isinstance(node, ast.Call))
    return [node for node in calls if ast.unparse(node.func) == function]


def test_the_package_does_not_print():
    silent = [path for path in MODULES if "__main__" not in path.stem]
    assert [path for path in silent if calls_of(path, "print")] == []


def test_nothing_catches_every_error():
    def catches_all(node: ast.AST) -> bool:
        return isinstance(node, ast.ExceptHandler) and node.type is None

    assert [path for path in SOURCES if any(map(catches_all, nodes_of(path)))] == []


def test_weights_are_never_unpickled():
    calls = [(path, call) for path in SOURCES for call in calls_of(path, "torch.load")]
    assert [path for path, call in calls if "weights_only=True" not in ast.unparse(call)] == []
