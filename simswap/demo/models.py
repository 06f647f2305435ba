"""The models that this demo offers, loaded once; visitors choose one by its name.

A visitor who does not choose has the default: what SIMSWAP_MODEL names, else the bundled one.
SIMSWAP_MODELS names more, separated by commas; the bundled one is then among them. Both take
folders and repo ids on the Hub, which no visitor ever sees. They are loaded when they are first
asked for, which the page does when it is built, and lie on the device as long as the process lives,
as a Space that lends its GPU call by call requires.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache

import spaces  # noqa: F401 (before torch, which it prepares for such a GPU)

from simswap import FaceSwapper, ModelError, OptionError, SimSwapError
from simswap.deny_list import configured_folder
from simswap.weights.bundle import Bundle, load_bundle
from simswap.weights.sharing import share_networks

logger = logging.getLogger(__name__)

DEFAULT_SETTING, MORE_SETTING = "SIMSWAP_MODEL", "SIMSWAP_MODELS"


def configured() -> list[str | None]:
    """Folders and repo ids of the models, the default first; None is the bundled one."""
    default = os.environ.get(DEFAULT_SETTING) or None
    more = [entry.strip() for entry in os.environ.get(MORE_SETTING, "").split(",")]
    more = [entry for entry in more if entry]
    return list(dict.fromkeys([default, None, *more] if more else [default]))


def load_bundles(sources: list[str | None]) -> list[Bundle]:
    """Load the default, which comes first, and those of the others that can be had.

    One that is missing or damaged, or has the name of one before it, is left out and logged: a Hub
    that does not answer for one shall not keep a demo from starting that has others.
    Raises ModelError if the default cannot be loaded.
    """
    bundles = [load_bundle(sources[0])]
    for source in sources[1:]:
        try:
            bundle = load_bundle(source)
        except ModelError as error:
            logger.warning("A model of %s is left out. %s", MORE_SETTING, error)
            continue
        if bundle.name in [other.name for other in bundles]:
            logger.warning(
                "A model of %s is left out: %s is called %s, as one before it. Results tell their "
                "model by its name; change one in its config.json.",
                MORE_SETTING,
                source or "the bundled one",
                bundle.name,
            )
            continue
        bundles.append(share_networks(bundle, bundles))
    return bundles


@cache
def _swappers() -> dict[str, FaceSwapper]:
    detector = os.environ.get("SIMSWAP_DETECTOR") or "bundled"
    try:
        loaded = {
            bundle.name: FaceSwapper(bundle, None, detector, configured_folder())
            for bundle in load_bundles(configured())
        }
    except SimSwapError as error:
        sys.exit(f"app.py: {error}")
    for swapper in loaded.values():
        if swapper.device.type == "cpu":  # a lent GPU is not there yet
            swapper.warm_up()
    return loaded


def names() -> list[str]:
    """Names of the models on offer, the default first."""
    return list(_swappers())


def by_name(name: str | None) -> FaceSwapper:
    """The model of a name; None or an empty one is the default.

    Raises OptionError, which lists what there is, for a name that is not on offer.
    """
    if not name:
        return next(iter(_swappers().values()))
    if not isinstance(name, str) or name not in _swappers():
        raise OptionError(f"model={name!r} is not offered here. Use one of: {', '.join(names())}.")
    return _swappers()[name]
