"""gradio, imported before the demo that will import it; settings of each demo's own are read then.

Where they stand among gradio's constants is told by what it was given in their place.
"""

import importlib.abc
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import gradio

from tests.support.demo.demo_server import IN_PLACE


class _Ready(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds gradio as it lies ready."""

    def __init__(self) -> None:
        self._spec = gradio.__spec__

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == gradio.__name__ else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return gradio

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
        settings = {value: name for name, value in IN_PLACE.items()}
        own = [each for name, each in sys.modules.items() if name.startswith(gradio.__name__)]
        for each in own:
            for name, value in list(vars(each).items()):
                if isinstance(value, str | int) and str(value) in settings:
                    setattr(each, name, type(value)(os.environ[settings[str(value)]]))


sys.meta_path.insert(0, _Ready())
del sys.modules[gradio.__name__]
