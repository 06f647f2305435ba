"""The demo where a GPU is lent call by call: `spaces` emulates CUDA, on a CPU.

    python -m tests.support.demo.emulated_gpu SWAPPED.npy
    python emulated_gpu.py  # beside app.py: serves it as such a Space does

It computes on the CPU, but refuses what a GPU would: tensors of two devices in one operation; and
whatever would start CUDA outside of a lent call.
"""

import http.server
import json
import os
import runpy
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch


def emulate(lender: str = "http://127.0.0.1:9") -> None:
    """Let `spaces` take torch over, as it does on such a Space. lender: whom it asks for a GPU."""
    os.environ.update(SPACES_ZERO_GPU="true", SPACES_ZERO_DEVICE_API_URL=lender)
    if torch.version.cuda is None:  # what a build of torch for CPUs lacks, and `spaces` looks at
        torch.version.cuda, torch._C._cuda_init = "13.0", torch.cuda.init
        torch.cuda._is_in_bad_fork = torch.cuda.is_initialized
    import spaces  # noqa: F401


class Lender(http.server.BaseHTTPRequestHandler):
    """Who lends GPUs, and never refuses."""

    def do_POST(self) -> None:
        gpu = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "none", "allowToken": "any"}
        body = json.dumps(gpu).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def end_with_parent() -> None:
    """In a process that was forked for a call: end soon after the one that serves was ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def serve() -> None:
    """Run app.py of this folder. What runs on a lent GPU runs in another process, as there."""
    lender = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Lender)
    threading.Thread(target=lender.serve_forever, daemon=True).start()
    emulate(f"http://127.0.0.1:{lender.server_address[1]}")
    from spaces.zero import torch as lent
    from spaces.zero import wrappers

    # There that process has a real GPU, to which the weights go; here it goes on emulating one.
    lent.pack = lent.size = lambda: 0
    lent.unpatch = lent.init = lent.move = lambda *_, **__: None
    wrappers.ThreadPoolExecutor = lambda number=None: ThreadPoolExecutor(
        number, initializer=lent.enter_mode
    )
    os.register_at_fork(after_in_child=end_with_parent)
    runpy.run_path("app.py", run_name="__main__")


def main(path: str) -> None:
    """Build the page, swap a photo as a lent GPU would, and say what was seen."""
    emulate()
    from spaces.zero.decorator import decorated_cache

    import app
    from simswap.demo import models
    from tests.support.examples import read_example

    app.build_page()
    model = models.by_name(None)
    identity = model.identity_of(read_example("grace_hopper.jpg"))
    np.save(path, model.swap_image(read_example("astronaut.jpg"), identity).image)
    seen = {
        "device": str(model.device),
        "runtime": model.running.generator.runtime,
        "weights": sorted({str(weights.device) for weights in model.generator.parameters()}),
        "lent": sorted({function.__qualname__ for function in decorated_cache}),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
