# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MTL-Swin-Unet as built by name: sizes, tasks, gradients, autocast, tracing, errors."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from monai_ich.networks import ClassificationHead, HeadOutput, MultiTaskNet, SwinDecoder, mtl_swin_unet
from monai_ich.networks.heads import PatchExpanding, ungroup
from monai_ich.utils.errors import ConfigurationError

TASKS = ("cls", "seg", "rec")


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def demo() -> MultiTaskNet:
    torch.manual_seed(0)
    return mtl_swin_unet("demo", drop_path_rate=0.0)


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(0))


def test_swin_unet_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        network = mtl_swin_unet("default", tasks=("seg",))
        nine_classes = SwinDecoder(9)
    assert count(network) == 27_168_228  # the public code, built with 2 classes
    assert count(network.encoder) + count(nine_classes) == 27_168_900  # with 9: the published 27.17 M


@pytest.mark.parametrize(
    ("size", "depths", "heads", "channels", "in_channels", "window", "drop_path"),
    [
        ("demo", (2, 2, 2, 2), (2, 4, 8, 16), (32, 64, 128, 256), 1, 4, 0.0),
        ("default", (2, 2, 2, 2), (3, 6, 12, 24), (96, 192, 384, 768), 3, 7, 0.2),
        ("tiny", (2, 2, 6, 2), (3, 6, 12, 24), (96, 192, 384, 768), 3, 7, 0.2),
        ("base", (2, 2, 18, 2), (4, 8, 16, 32), (128, 256, 512, 1024), 3, 7, 0.2),
    ],
)
def test_named_sizes_are_the_papers(size, depths, heads, channels, in_channels, window, drop_path) -> None:
    with torch.device("meta"):
        network = mtl_swin_unet(size)
    encoder = network.encoder
    assert (encoder.channels, encoder.in_channels) == (channels, in_channels)
    for blocks in [encoder.layers, network.heads["seg"].stages, network.heads["rec"].stages]:
        stages = [stage.blocks for stage in blocks]
        assert [len(stage) for stage in stages] == list(depths[: len(stages)])
        assert [stage[0].num_heads for stage in stages] == list(heads[: len(stages)])
        assert {block.window_size for stage in stages for block in stage} == {(window, window)}
    assert getattr(encoder.layers[-1].blocks[-1].drop_path, "drop_prob", 0.0) == pytest.approx(drop_path)


@pytest.mark.parametrize("tasks", [t for n in (1, 2, 3) for t in itertools.combinations(TASKS, n)])
def test_only_the_tasks_in_use_are_built_and_returned(tasks: tuple[str, ...]) -> None:
    network = mtl_swin_unet("demo", tasks=list(tasks)).eval()
    shapes = {"cls": (1, 2), "seg": (1, 2, 32, 64), "rec": (1, 1, 32, 64)}
    with torch.inference_mode():
        out = network(torch.rand(1, 1, 32, 64))
    assert {task: tuple(tensor.shape) for task, tensor in out.items()} == {task: shapes[task] for task in tasks}
    assert network.tasks == tasks


@pytest.mark.parametrize(("num_markers", "outputs"), [(1, 2), (2, 2), (4, 4)])
def test_classifier_has_two_logits_for_one_marker_else_one_a_marker(num_markers: int, outputs: int) -> None:
    with torch.device("meta"):
        assert mtl_swin_unet("demo", ["cls"], num_markers).heads["cls"].linear.out_features == outputs


def test_overrides_reach_encoder_and_decoder() -> None:
    with torch.device("meta"):
        network = mtl_swin_unet("demo", window_size=2, in_channels=3, drop_path_rate=0.5)
    assert network.encoder.patch_embed.proj.in_channels == 3
    assert network.heads["seg"].stages[0].blocks[1].shift_size == (1, 1)
    assert network.encoder.layers[-1].blocks[-1].drop_path.drop_prob == 0.5


def test_paper_size_at_224() -> None:
    network = mtl_swin_unet("default").eval()
    with torch.inference_mode():
        out = network(torch.rand(1, 1, 224, 224))
    shapes = {task: tuple(tensor.shape) for task, tensor in out.items()}
    assert shapes == {"cls": (1, 2), "seg": (1, 2, 224, 224), "rec": (1, 1, 224, 224)}


def test_gradient_reaches_every_parameter(demo: MultiTaskNet, image: torch.Tensor) -> None:
    demo.zero_grad()
    sum(tensor.square().sum() for tensor in demo(image).values()).backward()
    silent = [name for name, p in demo.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []
    demo.zero_grad()


def test_bf16_autocast_trains_and_stays_near_float32(image: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = mtl_swin_unet("demo").eval()  # in training, two images standardised over their batch are only a sign
    exact = {task: tensor.detach() for task, tensor in network(image).items()}
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(image)
    for task, tensor in rough.items():
        assert tensor.dtype == torch.bfloat16
        difference = (tensor.float() - exact[task]).norm() / exact[task].norm()
        assert difference < 0.02, f"{task}: bfloat16 has 8 bits, this is {difference:.3f} away"
    sum(tensor.float().square().mean() for tensor in rough.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_pooling_keeps_the_differences_between_images_that_bf16_would_round_away() -> None:
    head = ClassificationHead(8, 2, standardise=True)
    torch.manual_seed(0)
    maps = (1.0 + 0.002 * torch.randn(6, 8, 1, 1) + 0.05 * torch.randn(6, 8, 16, 16)).bfloat16()
    exact = head([maps.float()])
    with torch.autocast("cpu", torch.bfloat16):
        rough = head([maps])
    torch.testing.assert_close(rough.float(), exact, rtol=0.02, atol=0.02)


def test_one_seed_gives_the_same_network_and_the_same_step(image: torch.Tensor) -> None:
    def step() -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        torch.manual_seed(7)
        network = mtl_swin_unet("demo", tasks=["cls", "rec"], drop_path_rate=0.5).train()
        out = network(image)
        sum(tensor.square().sum() for tensor in out.values()).backward()
        return out, [parameter.grad for parameter in network.parameters()]

    (one, one_grads), (other, other_grads) = step(), step()
    assert all(torch.equal(one[task], other[task]) for task in one)
    assert all(torch.equal(a, b) for a, b in zip(one_grads, other_grads, strict=True))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")
def test_traced_head_equals_the_eager_one_for_other_batches(demo: MultiTaskNet, image: torch.Tensor) -> None:
    head = HeadOutput(demo, "seg").eval()
    with torch.no_grad():
        traced = torch.jit.trace(head, image)
        other = torch.rand(3, 1, 64, 96)
        torch.testing.assert_close(traced(other), head(other))


def test_head_output_is_the_networks_own_and_runs_no_other_head(demo: MultiTaskNet, image: torch.Tensor) -> None:
    head = HeadOutput(demo.eval(), "cls")
    with torch.no_grad():
        assert torch.equal(head(image), demo(image)["cls"])
    assert head.network.encoder is demo.encoder
    assert head.network.tasks == ("cls",)
    assert (head.training, head.network.training) == (False, False), "exporters put all children into this mode"


def test_head_output_of_any_network_with_dict_output(image: torch.Tensor) -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"cls": x * 2}

    assert torch.equal(HeadOutput(Twice(), "cls")(image), image * 2)


def test_classification_head_pools_the_last_level() -> None:
    head = ClassificationHead(2, 1)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0, 10.0]]))
    last = torch.tensor([[[1.0, 3.0]], [[0.0, 4.0]]])[None]  # (1, 2, 1, 2): means 2 and 2
    assert head([torch.full((1, 9, 2, 4), 99.0), last]).tolist() == [[22.0]]


def test_patch_expanding_is_linear_rearranged_then_normed() -> None:
    expanding = PatchExpanding(6, 3, 2)
    x = torch.randn(2, 3, 5, 6)
    got = ungroup(expanding(x), 2)
    assert got.shape == (2, 6, 10, 3)
    weight = expanding.expand.weight
    for y, x_at, row, column in [(0, 0, 0, 0), (1, 4, 0, 1), (2, 3, 1, 0), (2, 4, 1, 1)]:
        start = 3 * (2 * row + column)
        pixel = nn.functional.layer_norm(weight[start : start + 3] @ x[1, y, x_at], (3,))
        torch.testing.assert_close(got[1, 2 * y + row, 2 * x_at + column], pixel)


def test_decoder_uses_every_level_of_the_pyramid(demo: MultiTaskNet, image: torch.Tensor) -> None:
    demo.eval()
    with torch.no_grad():
        pyramid = demo.encoder(image)
        out = demo.heads["rec"](pyramid)
        for level in range(4):
            changed = [maps * 2.0 + 1.0 if at == level else maps for at, maps in enumerate(pyramid)]
            assert not torch.allclose(demo.heads["rec"](changed), out, atol=1e-4), f"level {level} is not used"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": "tiney"}, ["'tiney'", "Did you mean 'tiny'?"]),
        ({"size": "demo", "tasks": ["cls", "sge"]}, ["'sge'", "Did you mean 'seg'?"]),
        ({"size": "demo", "tasks": []}, ["empty", "'rec'"]),
        ({"size": "demo", "tasks": ["cls", "cls"]}, ["twice"]),
        ({"size": "demo", "tasks": "cls"}, ["the text 'cls'", "['cls', 'seg']"]),
        ({"size": "demo", "num_markers": 0}, ["num_markers", "0"]),
        ({"size": "demo", "tasks": ["clss", "sge"], "num_markers": 1.5}, ["'clss'", "'sge'", "1.5"]),
    ],
)
def test_bad_arguments_are_reported_together_with_suggestions(arguments: dict, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mtl_swin_unet(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


def test_network_without_heads_and_unknown_head_are_refused(demo: MultiTaskNet) -> None:
    with pytest.raises(ConfigurationError, match="at least one head"):
        MultiTaskNet(nn.Identity(), {})
    with pytest.raises(ConfigurationError, match=r"'segm' was asked for.*Did you mean 'seg'"):
        HeadOutput(demo, "segm")


def test_the_demo_s_classifier_standardises_over_the_batch_and_the_paper_s_does_not() -> None:
    head = ClassificationHead(8, 2, standardise=True)
    pyramid = [torch.randn(6, 8, 3, 3) * 0.01 + 5.0]
    pooled = pyramid[0].mean(dim=(2, 3))
    expected = (pooled - pooled.mean(0)) / (pooled.var(0, unbiased=False) + head.norm.eps).sqrt()
    torch.testing.assert_close(head(pyramid), head.linear(expected), atol=1e-4, rtol=1e-4)
    head.eval()
    alone, among_others = head([pyramid[0][:1]]), head(pyramid)[:1]
    torch.testing.assert_close(alone, among_others, msg="after training a slice does not depend on its batch")
    with pytest.raises(ConfigurationError, match="two images or more, but one came"):
        head.train()([pyramid[0][:1]])
    with torch.device("meta"):
        assert isinstance(mtl_swin_unet("demo").heads["cls"].norm, nn.BatchNorm1d)
        assert isinstance(mtl_swin_unet("default").heads["cls"].norm, nn.Identity)
