"""The shape of the code base itself: who may import whom, and how long things may get."""

import ast
import subprocess
import sys
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
    {"geometry", "memory", "models"},
    {"types", "files"},
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


def imported_by(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = (ROOT / (full.replace(".", "/") + ".py")).is_file()
                names.add(full if is_module else node.module)
    return names


def of_package(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] == "simswap"}


def calls_of(path: Path, function: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == function
    ]


def package_of(module: str) -> str:
    """The file or folder of simswap that a module is or lies in."""
    return ([*module.split("."), "simswap"])[1]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path):
    name, imported = module_name(path), of_package(imported_by(path))
    own = package_of(name)
    if name == "simswap":
        assert imported == PUBLIC_NAMES
    else:
        others = {other for other in imported if package_of(other) != own}
        upward = {other for other in others if LAYER_OF[package_of(other)] >= LAYER_OF[own]}
        assert not upward, f"{name} imports {upward}"


def test_every_package_has_its_place():
    assert {package_of(module_name(path)) for path in MODULES} == set(LAYER_OF)


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in SOURCES if path.parent != ROOT}),
    ids=lambda folder: str(folder.relative_to(ROOT)),
)
def test_a_folder_is_one_subject(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=module_name)
def test_networks_import_torch_only(path):
    allowed = sys.stdlib_module_names | {"torch", "simswap"}
    assert {name.split(".")[0] for name in imported_by(path)} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_package_never_imports_its_clients(path):
    roots = {name.split(".")[0] for name in imported_by(path)}
    assert not roots & {"train", "app", "tests"}
    if package_of(module_name(path)) != "demo":
        assert not roots & {"gradio", "spaces"}


@pytest.mark.parametrize("part", WITHOUT_NETWORKS)
def test_files_and_values_know_no_networks(part):
    paths = [PACKAGE / f"{part}.py", *(PACKAGE / part).glob("*.py")]
    imported = set().union(*(imported_by(path) for path in paths if path.is_file()))
    assert imported
    assert not {name for name in imported if name.split(".")[0] == "torch" or "models" in name}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_only_the_bundle_and_deploy_know_the_hub(path):
    knows = any(name.startswith("huggingface_hub") for name in imported_by(path))
    assert knows == (module_name(path) in KNOWS_THE_HUB)


def test_importing_the_package_does_not_load_torch():
    script = "import sys, simswap; simswap.SwapOptions(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_every_public_name_is_there():
    import simswap

    assert all(hasattr(simswap, name) for name in simswap.__all__)
    with pytest.raises(AttributeError, match="FaceSwoper"):
        _ = simswap.FaceSwoper


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} is too long"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_package_does_not_print(path):
    if "__main__" not in path.stem:
        assert calls_of(path, "print") == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_catches_every_error(path):
    handlers = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
    )
    assert all(handler.type is not None for handler in handlers)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_weights_are_never_unpickled(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node)
