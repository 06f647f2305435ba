"""Runs an ONNX file in a process of its own, which has so much memory and so much time.

`python -m simswap.weights.onnx.running FILE` reads the inputs from stdin (.npz) and writes the
first output to stdout (.npy); the inputs are told by their number of dimensions.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from simswap.errors import ModelError

MAX_SECONDS = 120  # the official generator at 512 px takes some five
MAX_MEMORY = 16 * 2**30  # bytes of addresses; that generator takes a tenth


def run_onnx(path: Path, images: np.ndarray, embeddings: np.ndarray | None = None) -> np.ndarray:
    """The first output of a file's network; its inputs are told by their number of dimensions.

    images: [B, 3, S, S]; embeddings: [B, 512]; both float32. Raises ModelError if it does not run,
    or not within the limits of time and memory.
    """
    given = {"images": images} | ({} if embeddings is None else {"embeddings": embeddings})
    sent = io.BytesIO()
    np.savez(sent, **given)
    package = str(Path(__file__).parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "simswap.weights.onnx.running", str(path.absolute())],
            input=sent.getvalue(),
            capture_output=True,
            timeout=MAX_SECONDS,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            check=False,
        )
        if done.returncode == 0:
            return np.load(io.BytesIO(done.stdout), allow_pickle=False)
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"{path} ran for more than {MAX_SECONDS} s: it is refused.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} does not run: {error}.") from error
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    reason = " ".join(lines[-1].split())[:160] if lines else f"it ended with {done.returncode}"
    raise ModelError(f"{path} does not run: {reason}.")


def _run(path: str) -> None:
    with suppress(ImportError, ValueError, OSError):  # Windows, or less is allowed already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    sent = io.BytesIO(sys.stdin.buffer.read())
    inputs = {array.ndim: array for array in np.load(sent, allow_pickle=False).values()}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {item.name: inputs[len(item.shape)] for item in session.get_inputs()}
    written = io.BytesIO()
    np.save(written, session.run(None, given)[0], allow_pickle=False)
    sys.stdout.buffer.write(written.getvalue())


if __name__ == "__main__":
    _run(sys.argv[1])
