# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A network as TorchScript and as ONNX, each written, read back and compared with the network itself."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.data import save_net_with_metadata
from torch import Tensor, nn

from monai_ich.utils.errors import ExportError, FaultList
from monai_ich.utils.provenance import installed_versions

# Tracing sees one batch size; a size that it baked in shows at another.
BATCH_SIZES = (1, 2, 5)
TRACED_BATCH = 2
# Of the largest value of a head's output, which counts as 1 where it is smaller: what float32 loses in a deep network.
TOLERANCE = 1e-4
# The first opset with LayerNormalization as one operator.
ONNX_OPSET = 17
INPUT_NAME = "image"
EXTRA = ("onnx", "onnxruntime")
_SEED = 0

Outputs = dict[str, Tensor]


@dataclass(frozen=True)
class ExampleBatch:
    """Images (B, 1, S, S) in [0, 1] and what the network makes of them in evaluation mode."""

    images: Tensor
    outputs: Outputs


def missing_extra() -> str | None:
    """Says how to install what ONNX needs, or returns None where it is installed."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if not missing:
        return None
    return f"{' and '.join(missing)} not installed, which ONNX needs: pip install 'monai_ich[export]'"


def example_batches(network: nn.Module, image_size: int) -> list[ExampleBatch]:
    """Runs the network, in evaluation mode, on random images in each of `BATCH_SIZES`."""
    network.eval()
    generator = torch.Generator().manual_seed(_SEED)
    images = [torch.rand(size, 1, image_size, image_size, generator=generator) for size in BATCH_SIZES]
    with torch.no_grad():
        return [ExampleBatch(batch, network(batch)) for batch in images]


def write_torchscript(
    network: nn.Module, path: Path, batches: Sequence[ExampleBatch], meta: dict[str, Any], files: dict[str, bytes]
) -> dict[str, float]:
    """Traces the network, which returns its dict still, and saves it with the bundle's metadata and configs inside.

    Args:
        network: in evaluation mode, on the CPU.
        path: of `model.ts`.
        batches: see `example_batches`.
        meta: the bundle's metadata.
        files: name to content, kept beside the metadata.

    Returns:
        The largest absolute difference from the network, for each head.

    Raises:
        ExportError: the file computes something else.
    """
    example = next(batch.images for batch in batches if len(batch.images) == TRACED_BATCH)
    with warnings.catch_warnings(), torch.no_grad():
        # that sides and windows become constants is what is wanted; that a batch size did not is checked below
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", message=".*torch.jit.* is deprecated", category=DeprecationWarning)
        traced = torch.jit.trace(network, example, strict=False, check_trace=False)  # not strict: it returns a dict
        save_net_with_metadata(
            traced,
            str(path),
            include_config_vals=False,  # the machine's, not the bundle's
            append_timestamp=False,
            meta_values=meta,
            more_extra_files=files,
        )
        _strip_source_locations(path)
        loaded = torch.jit.load(str(path), map_location="cpu")
        return _compare("TorchScript", batches, loaded)


def _strip_source_locations(path: Path) -> None:
    """Takes out the paths of the source files, of this machine, that TorchScript keeps for its tracebacks."""
    stripped = path.with_suffix(".stripped")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(stripped, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(entry, source.read(entry))
    stripped.replace(path)


class _TupleOutput(nn.Module):
    """A network's heads in order, as ONNX wants them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(x).values())


def write_onnx(network: nn.Module, path: Path, batches: Sequence[ExampleBatch]) -> dict[str, float]:
    """Writes the network as ONNX: input `image`, outputs named as the heads, any batch size.

    By the exporter that traces: measured on every row's network it gives the same numbers as the newer one, which needs
    one more package and seven to twenty-five times as long.

    Args, returns and raises as `write_torchscript`.
    """
    import onnx

    heads = list(batches[0].outputs)
    example = next(batch.images for batch in batches if len(batch.images) == TRACED_BATCH)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            _TupleOutput(network).eval(),
            (example,),
            str(path),
            input_names=[INPUT_NAME],
            output_names=heads,
            dynamic_axes={name: {0: "batch"} for name in (INPUT_NAME, *heads)},
            opset_version=ONNX_OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(str(path), full_check=True)
    return _compare("ONNX", batches, _onnx_runner(path, heads))


def _onnx_runner(path: Path, heads: Sequence[str]) -> Callable[[Tensor], Outputs]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Outputs:
        outputs = session.run(list(heads), {INPUT_NAME: images.numpy()})
        return {head: torch.from_numpy(output) for head, output in zip(heads, outputs, strict=True)}

    return run


def _compare(kind: str, batches: Sequence[ExampleBatch], run: Callable[[Tensor], Outputs]) -> dict[str, float]:
    """Returns the largest absolute difference of each head over all batches.

    Raises:
        ExportError: where any is above the tolerance, or a shape differs.
    """
    faults = FaultList(f"The network as {kind} does not compute what the network computes; nothing was exported.")
    largest = dict.fromkeys(batches[0].outputs, 0.0)
    for batch in batches:
        outputs = run(batch.images)
        for head, expected in batch.outputs.items():
            size, got = len(batch.images), outputs[head]
            if got.shape != expected.shape:
                faults.add(f"{head}, batch of {size}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}")
                continue
            difference = float((got - expected).abs().max())
            allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
            if not difference <= allowed:  # NaN is a difference too
                faults.add(f"{head}, batch of {size}: differs by {difference:.2g}, allowed is {allowed:.2g}")
            largest[head] = max(largest[head], difference)
    faults.raise_if_any(ExportError)
    return largest


def onnx_versions() -> dict[str, str]:
    """Returns the installed versions of the packages of the extra `export`."""
    return installed_versions(EXTRA)
