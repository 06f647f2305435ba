"""Networks that OpenVINO runs on the CPU, compiled from the torch modules as they are.

It is imported without its telemetry, which would send an event to its makers.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType

import numpy as np
import torch
from torch import Tensor, nn

from simswap.runtime import compiled
from simswap.runtime.torch_networks import TorchNetwork

logger = logging.getLogger(__name__)

TELEMETRY = "openvino_telemetry"
Shape = tuple[int, ...]  # -1: any size


class OpenVinoNetwork:
    """A module, compiled at its first call; safe to share between threads.

    A module that OpenVINO cannot take is run by torch, and the log says so.
    device, precision: as of TorchNetwork.
    """

    device = torch.device("cpu")

    def __init__(self, module: nn.Module, shapes: Sequence[Shape], *, may_reduce: bool) -> None:
        """Nothing is compiled yet.

        module: in evaluation mode, on the CPU. shapes: of its float32 inputs; batches of an input
            whose first size is 1 are computed one by one, which is as fast and takes less memory.
        may_reduce: compute in bfloat16 where the CPU does.
        """
        self._module, self._shapes, self._may_reduce = module, tuple(shapes), may_reduce
        self._num_threads = torch.get_num_threads()  # here: threads that swap have one each
        self._lock = threading.Lock()
        self._ready: _Compiled | TorchNetwork | None = None

    @property
    def runtime(self) -> str:
        """What computes it: "openvino", or "torch" where OpenVINO cannot."""
        return self._loaded().runtime

    @property
    def precision(self) -> str:
        """What it computes in; its inputs and outputs are float32 all the same."""
        return self._loaded().precision

    def __call__(self, *inputs: Tensor) -> Tensor | tuple:
        """What the module gives, for inputs on the CPU."""
        return self._loaded()(*inputs)

    def _loaded(self) -> _Compiled | TorchNetwork:
        if self._ready is None:
            with self._lock:
                if self._ready is None:
                    self._ready = self._load()
        return self._ready

    def _load(self) -> _Compiled | TorchNetwork:
        precision = _precision() if self._may_reduce else "float32"
        try:
            model = _compile(self._module, self._shapes, precision, self._num_threads)
        except _failures() as error:
            reason = " ".join(str(error).split())[:200]
            logger.warning("A network is run by torch: OpenVINO does not take it (%s)", reason)
            return TorchNetwork(self._module)
        return _Compiled(model, self._module, self._shapes, precision)


class _Compiled:
    """A compiled model; each thread has a request of its own."""

    runtime = "openvino"

    def __init__(
        self, model: object, module: nn.Module, shapes: Sequence[Shape], precision: str
    ) -> None:
        self._model, self._requests, self.precision = model, threading.local(), precision
        self._is_single = shapes[0][0] == 1
        self._form: object = None  # of what the module gives, if that is more than one tensor
        if len(model.outputs) > 1:
            with torch.inference_mode():
                self._form = module(*_examples(shapes))

    def __call__(self, *inputs: Tensor) -> Tensor | tuple:
        arrays = [np.ascontiguousarray(_channels_last(tensor).numpy()) for tensor in inputs]
        size = len(arrays[0])
        if self._is_single and size != 1:
            each = [self._infer([array[i : i + 1] for array in arrays]) for i in range(size)]
            outputs = [torch.cat(parts) for parts in zip(*each, strict=True)]
        else:
            outputs = self._infer(arrays)
        return outputs[0] if self._form is None else _shaped_as(self._form, iter(outputs))

    def _infer(self, arrays: list[np.ndarray]) -> list[Tensor]:
        request = getattr(self._requests, "own", None)
        if request is None:
            request = self._requests.own = self._model.create_infer_request()
        # The inputs are only read; the outputs are copies, because the next call writes over them.
        found = request.infer(arrays, share_inputs=True, share_outputs=False)
        outputs = [torch.from_numpy(found[i]) for i in range(len(self._model.outputs))]
        return [one.permute(0, 3, 1, 2) if one.ndim == 4 else one for one in outputs]


def _channels_last(tensor: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H, W, C], as pictures lie in memory: none is copied to turn it round."""
    return tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor


class _Flat(nn.Module):
    """A module that gives its tensors in a row: a converter takes no names, and no None."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(_tensors_in(self.module(*inputs)))


def _tensors_in(value: Tensor | tuple | None) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif value is not None:
        for part in value:
            yield from _tensors_in(part)


def _shaped_as(form: Tensor | tuple | None, tensors: Iterator[Tensor]) -> Tensor | tuple | None:
    """The next tensors, in (named) tuples as those of `form`."""
    if form is None or isinstance(form, Tensor):
        return None if form is None else next(tensors)
    parts = [_shaped_as(part, tensors) for part in form]
    return type(form)(*parts) if hasattr(form, "_fields") else tuple(parts)


def _examples(shapes: Sequence[Shape]) -> list[Tensor]:
    """Inputs, where any size will do of one image, of 64 px: a number that halves well."""
    sizes = [
        [1 if shape[0] < 0 else shape[0], *(64 if size < 0 else size for size in shape[1:])]
        for shape in shapes
    ]
    return [torch.full(size, 0.5) for size in sizes]


@cache
def _openvino() -> ModuleType:
    had = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # which makes its import fail: OpenVINO does without
    try:
        import openvino
    finally:
        del sys.modules[TELEMETRY]
        if had is not None:
            sys.modules[TELEMETRY] = had
    return openvino


@cache
def _core() -> object:
    return _openvino().Core()


def _failures() -> tuple[type[Exception], ...]:
    """What torch and OpenVINO raise where a module cannot be converted, compiled or loaded."""
    kinds: list[type[Exception]] = [RuntimeError, ImportError]
    if "openvino.frontend" in sys.modules:
        own = ("GeneralFailure", "InitializationFailure", "NotImplementedFailure")
        own += ("OpConversionFailure", "OpValidationFailure")
        kinds += [getattr(sys.modules["openvino.frontend"], name) for name in own]
    return tuple(kinds)


@cache
def _precision() -> str:
    abilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in abilities else "float32"


def _compile(module: nn.Module, shapes: Sequence[Shape], precision: str, threads: int) -> object:
    """OpenVINO's model: as the data folder has it, else converted, compiled, and kept there."""
    openvino, core = _openvino(), _core()
    config = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # other threads and processes work here, too
    }
    cpu = core.get_property("CPU", "FULL_DEVICE_NAME")
    abilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    where = openvino.get_version(), cpu, abilities, sorted(config.items()), shapes
    key = compiled.key_of(module, where)
    kept = compiled.read(key)
    if kept is not None:
        try:
            return core.import_model(io.BytesIO(kept), "CPU", config)
        except RuntimeError as error:
            logger.info("A kept network is compiled anew: %s", " ".join(str(error).split())[:200])
    model = core.compile_model(_convert(module, shapes), "CPU", config)
    compiled.write(key, model.export_model().getvalue())
    return model


def _convert(module: nn.Module, shapes: Sequence[Shape]) -> object:
    openvino = _openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    examples = tuple(_examples(shapes))
    with torch.inference_mode(), warnings.catch_warnings():
        # Of checks of shapes, which OpenVINO makes anew; and of tracing, which is on its way out.
        warnings.simplefilter("ignore")
        # OpenVINO makes finite numbers of some that are not, which would then pass for a picture.
        if not all(torch.isfinite(tensor).all() for tensor in _tensors_in(module(*examples))):
            raise RuntimeError("its numbers are not finite")
        traced = torch.jit.trace(_Flat(module), examples, check_trace=False)
    decoder = TorchScriptPythonDecoder(traced, example_input=examples, skip_freeze=True)
    converter = FrontEndManager().load_by_framework("pytorch")
    model = converter.convert(converter.load(decoder))
    for given, shape in zip(model.inputs, shapes, strict=True):
        given.get_node().set_partial_shape(openvino.PartialShape(list(shape)))
        given.get_node().set_element_type(openvino.Type.f32)
    model.validate_nodes_and_infer_types()
    return _with_channels_last(model)


def _with_channels_last(model: object) -> object:
    """The model, with its pictures and maps as [B, H, W, C]."""
    from openvino.preprocess import PrePostProcessor

    layouts = _openvino().Layout("NCHW"), _openvino().Layout("NHWC")
    steps = PrePostProcessor(model)
    for ports, step in ((model.inputs, steps.input), (model.outputs, steps.output)):
        for i, port in enumerate(ports):
            if port.get_partial_shape().rank.get_length() == 4:
                step(i).model().set_layout(layouts[0])
                step(i).tensor().set_layout(layouts[1])
    return steps.build()
