"""Runs an ONNX file in a process of its own, which has so much memory and so much time.

`python -m simswap.weights.onnx.running FILE` reads the inputs from stdin (.npz) and writes the
first output to stdout (.npy); the inputs are told by their number of dimensions.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from simswap.errors import ModelError
from simswap.trial_run import limit_work, watched

MAX_SECONDS = 60.0  # of processor time; the official generator at 512 px takes some ten
MAX_MEMORY = 3_000_000_000  # bytes that it may hold; that generator holds half
_THREADS = 2  # each waits for the others at work: more of them take longer together


def run_onnx(path: Path, images: np.ndarray, embeddings: np.ndarray | None = None) -> np.ndarray:
    """The first output of a file's network; its inputs are told by their number of dimensions.

    images: [B, 3, S, S]; embeddings: [B, 512]; both float32. Raises ModelError if it does not run,
    or not within the limits of time and memory.
    """
    given = {"images": images} | ({} if embeddings is None else {"embeddings": embeddings})
    package = str(Path(__file__).parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    with ExitStack() as stack:
        sent, written, told = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        np.savez(sent, **given)
        sent.seek(0)
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "simswap.weights.onnx.running", str(path.absolute())],
                stdin=sent,
                stdout=written,
                stderr=told,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        except OSError as error:
            raise ModelError(f"{path} does not run: {error}.") from error
        if problem := watched(child, MAX_MEMORY, MAX_SECONDS):
            raise ModelError(f"{path} {problem} when it is run: it is refused.")
        for stream in (written, told):
            stream.seek(0)
        if child.returncode == 0:
            return np.load(io.BytesIO(written.read()), allow_pickle=False)
        lines = told.read().decode(errors="replace").strip().splitlines()
    reason = " ".join(lines[-1].split())[:160] if lines else f"it ended with {child.returncode}"
    raise ModelError(f"{path} does not run: {reason}.")


def _run(path: str) -> None:
    limit_work(MAX_SECONDS)
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    sent = io.BytesIO(sys.stdin.buffer.read())
    inputs = {array.ndim: array for array in np.load(sent, allow_pickle=False).values()}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = {item.name: inputs[len(item.shape)] for item in session.get_inputs()}
    written = io.BytesIO()
    np.save(written, session.run(None, given)[0], allow_pickle=False)
    sys.stdout.buffer.write(written.getvalue())


if __name__ == "__main__":
    _run(sys.argv[1])
