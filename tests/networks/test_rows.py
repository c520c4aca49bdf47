# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every network of Table 1 by name: outputs, gradients, precision, tracing and ONNX."""

from __future__ import annotations

import io
from collections.abc import Callable

import onnxruntime
import pytest
import torch

from monai_ich.networks import (
    HeadOutput,
    MultiTaskNet,
    attention,
    joint_learning,
    joint_swin,
    mtl_swin_unet,
    resnet_classifier,
    unet_segmenter,
)
from monai_ich.utils.errors import ConfigurationError

Build = Callable[..., MultiTaskNet]

ROWS: dict[str, Build] = {
    "resnet": resnet_classifier,
    "joint_swin": joint_swin,
    "joint_learning": joint_learning,
    "joint_wavelet": lambda *args, **kwargs: joint_learning(*args, classifier="wavelet", **kwargs),
    "unet": unet_segmenter,
    "unet_resnet34": lambda size: unet_segmenter(size, "resnet34"),
    "unet_resnet50": lambda size: unet_segmenter(size, "resnet50"),
    "mtl": mtl_swin_unet,
}
CLASSIFIERS = [row for row in ROWS if not row.startswith(("unet", "mtl"))]


@pytest.fixture(scope="module", params=ROWS)
def network(request: pytest.FixtureRequest) -> MultiTaskNet:
    torch.manual_seed(0)
    network = ROWS[request.param]("demo")
    network(torch.rand(4, 1, 64, 64))  # running statistics of their own
    return network


def test_outputs_and_gradients(network: MultiTaskNet) -> None:
    network.train().zero_grad()
    out = network(torch.rand(2, 1, 64, 96))
    shapes = {"cls": (2, 2), "seg": (2, 2, 64, 96), "rec": (2, 1, 64, 96)}
    assert {task: tuple(tensor.shape) for task, tensor in out.items()} == {task: shapes[task] for task in network.tasks}
    # Two samples of opposite weight: normalised over a batch, a plain sum would have no gradient.
    weights = {task: torch.randn(tensor.shape) for task, tensor in out.items()}
    sum((tensor * weights[task]).sum() for task, tensor in out.items()).backward()
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    silent = [name for name, p in trained.items() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


def test_bf16_autocast_trains(network: MultiTaskNet) -> None:
    network.train().zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        out = network(torch.rand(2, 1, 64, 64))
    sum(tensor.float().square().mean() for tensor in out.values()).backward()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_traced_and_onnx_outputs_equal_the_eager_ones_for_other_batches(
    network: MultiTaskNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_SHIFT_MASKS", {})  # as in a process that has not run the network yet
    image, other = torch.rand(2, 1, 64, 64), torch.rand(3, 1, 64, 64)
    for task in network.tasks[:1]:
        head = HeadOutput(network, task).eval()
        file = io.BytesIO()
        with torch.no_grad():
            traced = torch.jit.trace(head, image)
            expected = head(other)
            torch.testing.assert_close(traced(other), expected, rtol=1e-4, atol=1e-5)
            axes = {"image": {0: "batch"}, task: {0: "batch"}}
            torch.onnx.export(
                head, (image,), file, dynamo=False, input_names=["image"], output_names=[task], dynamic_axes=axes
            )
        session = onnxruntime.InferenceSession(file.getvalue())
        got = torch.from_numpy(session.run(None, {"image": other.numpy()})[0])
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("row", CLASSIFIERS)
def test_classifiers_take_the_number_of_markers_and_standardise_at_demo(row: str) -> None:
    build = ROWS[row]
    with torch.device("meta"):
        assert build("demo", num_markers=4).heads["cls"].linear.out_features == 4
        assert isinstance(build("demo").heads["cls"].norm, torch.nn.BatchNorm1d)
        assert isinstance(build("demo", standardise_pooled=False).heads["cls"].norm, torch.nn.Identity)
        assert isinstance(build("default").heads["cls"].norm, torch.nn.Identity)
        with pytest.raises(ConfigurationError, match="num_markers"):
            build("demo", num_markers=0)
        with pytest.raises(ConfigurationError, match=r"size is one of.*Did you mean 'demo'"):
            build("dem")


@pytest.mark.parametrize("row", ["resnet", "joint_swin", "joint_learning", "unet"])
def test_one_seed_gives_one_network(row: str) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(ROWS[row]("demo").state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
