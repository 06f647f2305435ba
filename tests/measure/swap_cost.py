"""What an ordinary photo swap costs in two checkouts, in turns, in one run.

    python tests/measure/swap_cost.py ../before . --swaps 40

Each swap goes through the demo's own endpoint: read both photos, swap, mark, sign, write a PNG.
Prints the median milliseconds and processor time of each checkout, and the ratios. Other work on
the machine falls on both alike, as they take turns; where there is much, trust processor time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
WARM_UP = 3  # swaps
# Runs in a checkout, with nothing of this one: a line in is a swap, its two times go out.
SERVER = """
import shutil, sys, time
from pathlib import Path
from simswap.demo import photo_endpoints
from simswap.demo.services.uploads import upload_folder

folder = upload_folder() / "sent"
folder.mkdir()
source, target = (shutil.copy(path, folder) for path in sys.argv[1:])
for _ in sys.stdin:
    started, worked = time.perf_counter(), time.process_time()
    photo_endpoints.swap_image([source], target, consent=True)
    times = time.perf_counter() - started, time.process_time() - worked
    print("times", *times, flush=True)
"""


class Checkout:
    """A checkout's demo, without its page and its server."""

    def __init__(self, folder: Path, kept: Path, target: Path) -> None:
        self.name, self.times = str(folder), []
        kept.mkdir()
        settings = {
            "PYTHONPATH": str(folder.resolve()),
            "GRADIO_TEMP_DIR": str(kept / "uploads"),
            "SIMSWAP_HOME": str(kept / "home"),
            "HF_HUB_OFFLINE": "1",
            "GRADIO_ANALYTICS_ENABLED": "False",
        }
        photos = (EXAMPLES / "grace_hopper.jpg", target)
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *(str(photo.resolve()) for photo in photos)],
            cwd=folder,
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def swap(self) -> tuple[float, float]:
        """Seconds and processor seconds of one swap."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("times"):
                seconds, worked = map(float, line.split()[1:])
                return seconds, worked
        raise SystemExit(f"the demo of {self.name} ended")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs=2, metavar="FOLDER", help="two checkouts")
    parser.add_argument("--swaps", type=int, default=40, help="in each")
    parser.add_argument("--target", type=Path, default=EXAMPLES / "astronaut.jpg")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        checkouts = [
            Checkout(folder, Path(name) / str(number), given.target)
            for number, folder in enumerate(given.folders)
        ]
        try:
            for turn in range(WARM_UP + given.swaps):
                for checkout in checkouts if turn % 2 else reversed(checkouts):
                    times = checkout.swap()
                    if turn >= WARM_UP:
                        checkout.times.append(times)
        finally:
            for checkout in checkouts:
                checkout.close()
    medians = [
        [statistics.median(times) for times in zip(*checkout.times, strict=True)]
        for checkout in checkouts
    ]
    for checkout, (seconds, worked) in zip(checkouts, medians, strict=True):
        print(f"{checkout.name}: {seconds * 1e3:.1f} ms, of processors {worked * 1e3:.1f} ms")
    turns = list(zip(*(checkout.times for checkout in checkouts), strict=True))
    ratios = [statistics.median(after[n] / before[n] for before, after in turns) for n in (0, 1)]
    print(f"second by first, median of the turns: {ratios[0]:.3f}, of processors {ratios[1]:.3f}")


if __name__ == "__main__":
    main()
