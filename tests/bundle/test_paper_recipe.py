# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Every row of Table 1, and every first stage, has under paper.json what tests/bundle/paper_recipe.py says.

What is compared is read from what the config *builds*: networks, optimizer, schedule, losses, augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser
from paper_recipe import EVERY_ROW, STAGE_1, TABLE
from support import ROOT
from torch import nn

from monai_ich.config.first_stage import STAGE, stage_config
from monai_ich.config.settings import Role, names_where, value_at
from monai_ich.losses import MultiTaskLoss
from monai_ich.networks import KNOWN_WEIGHTS, JointEncoder, SwinDecoder, builders, cnn_builders, joint_builders
from monai_ich.table.plan import find_rows, merged_config

BUNDLE = ROOT / "bundles/mtl"
# What cannot be had without data, weights or a trained first stage, given as a user would.
ELSEWHERE = {
    "device": "$torch.device('cpu')",
    "train::sampler::num_samples": 1000,
    "train::sampler::plan": None,
    "train::sampler::partners": None,
    "data::groups": None,
    "loss::group_counts": None,
    "validate::dataset": None,
    "segmentation_checkpoint": "first stage",
}


def _configs() -> dict[str, dict[str, Any]]:
    """The merged configs of the rows, as the table has them, and those of their first stages."""
    configs: dict[str, dict[str, Any]] = {}
    for name, row in find_rows(BUNDLE).items():
        joint = STAGE in ConfigParser.load_config_file(row.files[-1])
        given = {key: value for key, value in ELSEWHERE.items() if joint or key != "segmentation_checkpoint"}
        configs[name] = merged_config([*row.files, BUNDLE / "paper.json"], given)
        if joint:
            configs[name + STAGE_1] = stage_config(configs[name])
    return configs


# What is read from a built part of the config: the part, and the value.
PARTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "batch_size": ("train::dataloader::batch_size", lambda part: part),
    "max_epochs": ("train::trainer::max_epochs", lambda part: part),
    "lr": ("PolyLearningRate", lambda part: part.base),
    "computes_in": ("train::inferer", lambda part: part.dtype),
    "hu_bounds": ("HUWindowd", lambda part: part.bounds_hu),
    "resizing": ("FitSquared", lambda part: (part.size, part.mode)),
    "augmentation": ("train::augmentation", lambda part: [(type(t).__name__, t.prob) for t in part.transforms]),
    "augmented": ("train::augmentation", lambda part: {t.keys for t in part.transforms}),
    "rotation_deg": ("RandSmallRotationd", lambda part: part.max_angle_deg),
    "rotation_modes": ("RandSmallRotationd", lambda part: part.mode),
    "shuffle": ("train::sampler", lambda part: part.shuffle),
    "drop_last": ("train::sampler", lambda part: part.drop_last),
    "optimizer": ("optimizer", lambda part: type(part).__name__),
    "momentum": ("optimizer", lambda part: {group["momentum"] for group in part.param_groups}),
    "dampening": ("optimizer", lambda part: {group["dampening"] for group in part.param_groups}),
    "nesterov": ("optimizer", lambda part: {group["nesterov"] for group in part.param_groups}),
    "weight_decay": ("optimizer", lambda part: {group["weight_decay"] for group in part.param_groups}),
    "schedule": ("PolyLearningRate", lambda part: {"power": part.power, "warmup": part.warmup}),
    "gradient_limit": ("GradientNormLimit", lambda part: part.max_norm),
    "refreshed_batches": ("RunningStatisticsRefresh", lambda part: part.images.maxlen),
    "loss": ("loss", lambda part: part.weights),
    "loss_markers": ("loss", lambda part: part.classification.num_markers),
    "ce_weight": ("loss", lambda part: part.segmentation.ce_weight),
    "dice_weight": ("loss", lambda part: part.segmentation.dice_weight),
    "ignore_empty": ("loss", lambda part: part.segmentation.ignore_empty),
    "dice_over": ("loss", lambda part: part.segmentation.dice_over),
    "dice": ("loss", lambda part: _dice(part)),
}


def _dice(loss: MultiTaskLoss) -> dict[str, bool]:
    dice = loss.segmentation.dice
    return {"background": dice.include_background, "squares": dice.squared_pred, "whole_batch": dice.batch}


def _drop_path(block: nn.Module) -> float:
    rate = getattr(block, "drop_connect_rate", None)  # EfficientNet's name for it
    return float(getattr(getattr(block, "drop_path", None), "drop_prob", 0.0) if rate is None else rate)


def _deviations(module: nn.Module) -> tuple[float, float]:
    """The smallest and the largest deviation of the weights of linear layers, of those with enough weights to tell."""
    linears = [part.weight for part in module.modules() if isinstance(part, nn.Linear) and part.weight.numel() > 9000]
    deviations = [weight.std().item() for weight in linears]
    return min(deviations), max(deviations)


def _swin_stages(stages: nn.ModuleList) -> dict[str, Any]:
    """What the blocks of a Swin encoder or decoder have, each read from its own layers."""
    blocks = [block for stage in stages for block in stage.blocks]
    heads = [{block.attn.num_heads for block in stage.blocks} for stage in stages]
    return {
        "depths": tuple(len(stage.blocks) for stage in stages),
        "heads": tuple(number for numbers in heads for number in numbers),
        "windows": {block.window_size for block in blocks},
        "mlp_ratios": {block.mlp.linear1.out_features / block.mlp.linear1.in_features for block in blocks},
        "drop_path": (_drop_path(blocks[0]), _drop_path(blocks[-1])),
    }


def _encoder(encoder: nn.Module) -> dict[str, Any]:
    kind = type(encoder).__name__
    first = next(module for module in encoder.modules() if isinstance(module, nn.Conv2d))
    read = {"kind": kind, "in_channels": first.in_channels}
    if kind == "SwinEncoder":
        patch = {"embed_dim": first.out_channels, "patch": first.kernel_size}
        return {**read, **patch, **_swin_stages(encoder.layers), "deviations": _deviations(encoder)}
    read["channels"] = encoder.channels
    if kind == "ResNetPyramid":
        stages = (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)
        read["depths"] = tuple(len(stage) for stage in stages)
    if kind == "EfficientNetPyramid":
        blocks = [block for stack in encoder._blocks for block in stack]
        read["depths"] = tuple(len(stack) for stack in encoder._blocks)
        read |= {"convention": encoder.convention, "drop_path": (_drop_path(blocks[0]), _drop_path(blocks[-1]))}
    return read


def _decoder(decoder: nn.Module, encoder: nn.Module) -> dict[str, Any]:
    weight = decoder.projection.weight
    read = {"kind": type(decoder).__name__, "out_channels": weight.shape[0]}
    if not isinstance(decoder, SwinDecoder):
        return {**read, "levels": len(decoder.ups)}
    read |= {"embed_dim": weight.shape[1], "projection_limit": weight.abs().max().item(), "skips": encoder.skips}
    return {**read, **_swin_stages(decoder.stages), "deviations": _deviations(decoder)}


def _classifier(head: nn.Module) -> dict[str, Any]:
    weight = head.linear.weight
    standardised = not isinstance(head.norm, nn.Identity)
    return {
        "width": weight.shape[1],
        "outputs": weight.shape[0],
        "standardised": standardised,
        "deviation": weight.std().item(),
    }


def _parts_of_network(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    encoder, heads = network.encoder, dict(network.heads.items())
    joint = isinstance(encoder, JointEncoder)
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return {
        "encoder": _encoder(encoder.trainable if joint else encoder),
        "frozen_encoder": _encoder(encoder.frozen) if joint else {},
        "decoders": {task: _decoder(head, encoder) for task, head in heads.items() if task != "cls"},
        "classifier": _classifier(heads["cls"]) if "cls" in heads else {},
        "parameters": sum(p.numel() for p in network.parameters()),
        "frozen_parameters": sum(p.numel() for p in network.parameters() if id(p) not in trained),
    }


class Loads:
    """Stands where weights are loaded: notes what would be loaded into what, and loads nothing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.loads: list[tuple[nn.Module, str, bool]] = []
        for room in (builders, cnn_builders, joint_builders):
            patch.setattr(room, "load_pretrained_encoder", self._pretrained)
        patch.setattr(joint_builders, "load_segmentation_encoder", self._segmentation)

    def _pretrained(self, network: nn.Module, name: str, *, mirror: bool = True) -> SimpleNamespace:
        self.loads.append((network, name, mirror and any(isinstance(part, SwinDecoder) for part in network.modules())))
        return SimpleNamespace(summary=lambda: "")

    def _segmentation(self, encoder: nn.Module, path: str) -> None:
        self.loads.append((encoder, path, False))

    def seen(self, network: nn.Module) -> dict[str, Any]:
        """The names of the parts of `network` with what was loaded into them, and whether decoders got a mirror."""
        names = {id(part): name or "encoder" for name, part in network.named_modules()}
        return {
            "loaded": {names[id(part)]: source for part, source, _ in self.loads},
            "mirrored": any(mirrored for _, _, mirrored in self.loads),
        }


def _id_of(node: Any, target: str, path: str = "") -> str:
    """The id of the one component of a config whose `_target_` ends with `target`."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, dict) and str(node.get("_target_", "")).endswith("." + target):
        return path
    found = [_id_of(child, target, f"{path}::{key}".removeprefix("::")) for key, child in children]
    return next((name for name in found if name), "")


def _read(config: dict[str, Any], expected: dict[str, Any], patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the config gives for every name of `expected`, and for every name that is read from a part."""
    loads = Loads(patch)
    parser = ConfigParser(config)
    torch.manual_seed(0)
    network = parser.get_parsed_content("network_def")
    read = {**_parts_of_network(network, parser.get_parsed_content("optimizer")), **loads.seen(network)}
    for name, (part, value) in PARTS.items():
        known = part if part in ("optimizer", "loss") or "::" in part else _id_of(config, part)
        read[name] = value(parser.get_parsed_content(known))
    read["scoring"] = {
        "validation": parser.get_parsed_content(_id_of(config["validate"], "PredictionMetrics", "validate")).threshold,
        "test": parser.get_parsed_content("test::evaluation::threshold"),
    }
    return {**{name: parser.get_parsed_content(name) for name in expected if name not in read}, **read}


def _flat(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, f"{name}, {key}" if name else key)
    else:
        yield name, node


def _differences(expected: dict[str, Any], read: dict[str, Any]) -> list[str]:
    theirs, ours = dict(_flat(expected)), dict(_flat(read))
    return [
        f"{name}: expected {theirs.get(name, 'nothing')}, got {ours.get(name, 'nothing')}"
        for name in {**theirs, **ours}
        if name not in theirs or name not in ours or theirs[name] != ours[name]
    ]


@pytest.fixture(scope="module")
def configs() -> dict[str, dict[str, Any]]:
    return _configs()


def test_the_literal_table_holds_every_row_and_every_first_stage(configs: dict[str, dict[str, Any]]) -> None:
    assert list(configs) == list(TABLE)


@pytest.mark.parametrize("row", TABLE)
def test_a_row_is_what_the_literal_table_says(
    row: str, configs: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = {**EVERY_ROW, **TABLE[row]}
    differences = _differences(expected, _read(configs[row], expected, monkeypatch))
    assert differences == [], f"{row}:\n" + "\n".join(differences)


# Settings whose values are read from what they build, or that say which run it is.
READ_OTHERWISE = {
    "row": "the names of the rows",
    "run_name": "the row's name",
    "size": "encoder, decoders, parameters",
    "loss::weights": "loss",
    "optimizer::weight_decay": "weight_decay",
    "segmentation_stage": "the rows of the first stages",
    "segmentation_run": "loaded",
    "segmentation_checkpoint": "loaded",
}


def test_every_setting_that_decides_a_result_is_in_the_literal_table(configs: dict[str, dict[str, Any]]) -> None:
    decide = names_where(lambda setting: setting.role is Role.RESULT) - READ_OTHERWISE.keys()
    for row, values in TABLE.items():
        of_row = {name for name in decide if value_at(configs[row], name)[0]}
        assert of_row == decide & (EVERY_ROW | values).keys(), row


def test_the_weights_named_are_known() -> None:
    named = {source for values in TABLE.values() for source in values.get("loaded", {}).values()} - {"first stage"}
    assert named == {"swin_tiny_patch4_window7_224", "resnet152", "tf_efficientnet_b3"}
    assert named <= KNOWN_WEIGHTS.keys()
