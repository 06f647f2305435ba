"""The shape of the code base itself: who may import whom, and how long things may get."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "simswap"
SOURCES = sorted(
    path for part in ("simswap", "demo", "train", "tests") for path in (ROOT / part).rglob("*.py")
) + sorted(ROOT.glob("*.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))

# From the bottom up: a module imports from lower layers only. A new module needs a place here.
# Network definitions (simswap.models) are one layer, files (media and below) know no networks.
LAYERS = (
    {"simswap", "simswap.errors", "simswap.colour_profile", "simswap.files", "simswap.memory"},
    {"simswap.types"},
    {
        *("simswap.detail", "simswap.geometry"),
        "simswap.mark_code",
        "simswap.models",
        "simswap.pixels",
        *("simswap.provenance", "simswap.onnx_bounds", "simswap.tiff_files"),
    },
    {
        "simswap.restricted_pickle",
        "simswap.official",
        *("simswap.onnx_files", "simswap.onnx_run"),
        *("simswap.signer", "simswap.pins"),
        "simswap.bundle_config",
    },
    {"simswap.credential_reading", "simswap.bundle_networks"},
    {"simswap.content_credentials", "simswap.credential_words", "simswap.photo_files"},
    {"simswap.torch_files", "simswap.onnx_weights", "simswap.onnx_identity"},
    {"simswap.photo_decoding"},
    {"simswap.weight_files", "simswap.downloads"},
    {
        *("simswap.candidates", "simswap.video_structure", "simswap.video_colour"),
        "simswap.mark_carrier",
        "simswap.visible_label",
    },
    {"simswap.mark_grain", "simswap.video_files"},
    {"simswap.pixel_mark", "simswap.video_guard"},
    {"simswap.frame_lists"},
    {
        *("simswap.second_look", "simswap.scrfd", "simswap.mark_alignment"),
        *("simswap.video_info", "simswap.video_mark"),
    },
    {
        "simswap.detection",
        "simswap.selection",
        "simswap.blending",
        "simswap.bundle",
        "simswap.mark_reading",
        "simswap.video_audio",
        "simswap.video_reading",
        "simswap.video_trial",
        "simswap.video_writing",
    },
    {
        "simswap.media",
        "simswap.stages",
        "simswap.pipelining",
        "simswap.tracking",
        "simswap.held_embeddings",
        "simswap.job_folder",
        "simswap.video_joining",
        "simswap.video_options",
    },
    {},
    {
        *("simswap.frame_stream", "simswap.frame_files", "simswap.convert", "simswap.packs"),
        *("simswap.mark_search", "simswap.deny_list", "simswap.rendering"),
        "simswap.network_sharing",
    },
    {
        *(
            "simswap.video_job",
            "simswap.convert_command",
            "simswap.detector_command",
            "simswap.deploy_command",
        ),
        *("simswap.inputs", "simswap.verification"),
    },
    {"simswap.video_run"},
    {"simswap.swapper", "simswap.frame_folder"},
    {"simswap.video_command"},
    {"simswap.arguments", "simswap.benchmark", "simswap.video_benchmark"},
    {"simswap.__main__"},
)
LAYER_OF = {name: number for number, names in enumerate(LAYERS) for name in names}
PUBLIC_NAMES = {
    *("simswap.errors", "simswap.types", "simswap.swapper", "simswap.video_options"),
}
WITHOUT_NETWORKS = (
    *("errors", "files", "memory", "types", "geometry", "pixels", "provenance", "media"),
    *("arguments", "tiff_files", "photo_files", "photo_decoding", "frame_lists"),
    *("signer", "credential_reading", "credential_words", "content_credentials", "mark_search"),
    *("verification", "deny_list", "colour_profile"),
    *("detail", "mark_code", "mark_carrier", "mark_grain", "pixel_mark", "mark_alignment"),
    *("mark_reading", "visible_label"),
    *(f"video_{part}" for part in ("files", "colour", "info", "mark", "audio")),
    *("video_structure", "video_guard", "video_trial", "video_reading"),
    *("video_writing", "video_joining", "video_options", "job_folder", "frame_files"),
    *("tracking", "held_embeddings", "pipelining"),
)


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


def layer_of(module: str) -> int:
    return LAYER_OF["simswap.models" if module.startswith("simswap.models") else module]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path):
    name, imported = module_name(path), of_package(imported_by(path))
    if name == "simswap":
        assert imported == PUBLIC_NAMES
    elif name.startswith("simswap.models"):
        assert all(other.startswith("simswap.models") for other in imported)
    else:
        upward = {other for other in imported if layer_of(other) >= layer_of(name)}
        assert not upward, f"{name} imports {upward}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "models").glob("*.py")), ids=module_name)
def test_networks_import_torch_only(path):
    allowed = sys.stdlib_module_names | {"torch", "simswap"}
    assert {name.split(".")[0] for name in imported_by(path)} <= allowed


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_package_never_imports_its_clients(path):
    roots = {name.split(".")[0] for name in imported_by(path)}
    assert not roots & {"train", "app", "demo", "tests", "gradio", "spaces"}


@pytest.mark.parametrize("module", WITHOUT_NETWORKS)
def test_files_and_values_know_no_networks(module):
    imported = imported_by(PACKAGE / f"{module}.py")
    assert not {name for name in imported if name.split(".")[0] == "torch" or "models" in name}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_only_the_bundle_and_deploy_know_the_hub(path):
    knows = any(name.startswith("huggingface_hub") for name in imported_by(path))
    assert knows == (module_name(path) in ("simswap.bundle", "simswap.deploy_command"))


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
