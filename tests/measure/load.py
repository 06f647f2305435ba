"""Twenty callers at once: `python tests/measure/load.py`. Each checks that its result is its own.

Every caller has a photo of another width, which its result must have too.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from gradio_client import Client, handle_file
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.demo.demo_server import running_demo

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
FULL = "queue is full"


def call(client: Client, target: Path) -> tuple[float, str]:
    """Seconds of one swap, and "own", "full" or what went wrong."""
    started = time.perf_counter()
    try:
        result, _ = client.predict(
            source=handle_file(EXAMPLES / "grace_hopper.jpg"),
            target=handle_file(target),
            api_name="/swap_image",
        )
    except Exception as error:
        outcome = "full" if FULL in str(error).lower() else f"{type(error).__name__}: {error}"
        return time.perf_counter() - started, outcome
    with Image.open(result) as photo, Image.open(target) as own:
        outcome = "own" if photo.size == own.size else "mixed up"
    return time.perf_counter() - started, outcome


def memory_of_demo() -> float:
    """Megabytes that the server holds."""
    processes = psutil.Process().children(recursive=True)
    return sum(process.memory_info().rss for process in processes) / 1e6


def main() -> None:
    """One line of JSON for each round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, running_demo(Path(name)) as url:
        portrait = Image.open(EXAMPLES / "astronaut.jpg")
        targets = [Path(name) / f"{number}.png" for number in range(arguments.callers)]
        for number, target in enumerate(targets):
            portrait.resize((500 + number, 512)).save(target)
        clients = [
            Client(url, verbose=False, download_files=Path(name) / str(number))
            for number in range(arguments.callers)
        ]
        for _ in range(arguments.rounds):
            with ThreadPoolExecutor(arguments.callers) as pool:
                answers = list(pool.map(call, clients, targets))
            outcomes = [outcome for _, outcome in answers]
            report = {
                "outcomes": {outcome: outcomes.count(outcome) for outcome in set(outcomes)},
                "p95_s": round(float(np.percentile([seconds for seconds, _ in answers], 95)), 2),
                "memory_mb": round(memory_of_demo()),
            }
            print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
