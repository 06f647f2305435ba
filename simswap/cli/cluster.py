"""The option `--cluster`: a video's segments as tasks on Ray."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cluster import open_cluster

if TYPE_CHECKING:
    from simswap.cluster import Run
    from simswap.video.on_cluster import Cluster


def add_cluster(parser: ArgumentParser) -> None:
    """Where segments are made."""
    parser.add_argument(
        "--cluster",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="make a video's parts on Ray: on the cluster at ADDRESS (auto: the one here), else on "
        "a new one here",
    )


@contextmanager
def opened_tasks(arguments: Namespace) -> Iterator[Run | None]:
    """What runs tasks on the cluster that was asked for; None: there is none.

    Raises ClusterError.
    """
    if arguments.cluster is None:
        yield None
        return
    import torch

    with open_cluster(arguments.cluster, float(torch.cuda.is_available())) as run:
        yield run


@contextmanager
def opened_cluster(arguments: Namespace, tasks: Run | None) -> Iterator[Cluster | None]:
    """Where the segments of `video` are made; None: here. Raises ClusterError.

    tasks: what runs tasks on a cluster that is open already.
    """
    from simswap.video.on_cluster import Cluster, ModelSource

    with nullcontext(tasks) if tasks else opened_tasks(arguments) as run:
        model = arguments.model
        if model is not None and Path(model).exists():
            model = str(Path(model).resolve())
        source = ModelSource(model, arguments.detector, arguments.runtime)
        yield Cluster(run, source) if run else None
