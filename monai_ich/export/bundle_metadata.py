# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""metadata.json of an exported bundle: what goes into this very network and what comes out of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import monai
import numpy as np
import torch
from torch import Tensor

from monai_ich.export.run_facts import RunFacts
from monai_ich.utils.keys import Task
from monai_ich.utils.provenance import git_commit, installed_versions, sha256_of_file

_TASK_TEXTS = {
    Task.CLS: "classification of {markers} on head-CT slices",
    Task.SEG: "segmentation of the haematoma",
    Task.REC: "reconstruction of the windowed slice",
}
# Needed without being imported by name: by MONAI's command line and its Swin blocks; and the decoders that pydicom
# finds by itself. Those that are installed here are recorded.
_UNSEEN = ("fire", "einops", "pylibjpeg", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm")
# These have keys of their own.
_NAMED_APART = ("torch", "monai", "numpy")


def primary_head(outputs: Collection[str]) -> str:
    """The output that MONAI's tools see as `pred`: the classifier's where there is one."""
    return Task.CLS.value if Task.CLS in outputs else next(iter(outputs))


def _task_text(facts: RunFacts, heads: Collection[str]) -> str:
    texts = [_TASK_TEXTS[Task(head)].format(markers=", ".join(facts.markers)) for head in heads]
    text = "; ".join(texts)
    return text[0].upper() + text[1:]


def bundle_metadata(
    facts: RunFacts, outputs: Mapping[str, Tensor], packages: Mapping[str, str], version: str
) -> dict[str, Any]:
    """Returns the content of `configs/metadata.json`, with every key that MONAI's bundle specification asks for.

    Args:
        facts: of the run.
        outputs: what the network returns for a batch.
        packages: installed versions of what the bundle's code imports.
        version: of the bundle.
    """
    window = facts.settings["window"]
    return {
        **facts.metadata,
        **_versions(packages, version),
        "changelog": {version: f"exported from a run of {facts.row}"},
        "supported_apps": {},
        "name": f"{facts.row}, intracerebral haemorrhage on head CT",
        "task": _task_text(facts, outputs),
        "description": f"{facts.row}, a system of Hirata and Okita (arXiv 2505.06185), exported from one training run. "
        f"Trained on: {facts.card.get('name', 'a data set without a card')}.",
        "data_source": str(facts.card.get("description", "not stated")),
        "label_classes": _label_classes(facts, outputs),
        "pred_classes": "; ".join(f"{head}: {', '.join(_channels(head, facts).values())}" for head in outputs),
        "row": facts.row,
        "heads": list(outputs),
        "markers": facts.markers,
        "window_hu": {"level": window[0], "width": window[1]},
        "image_size": facts.settings["image_size"],
        "threshold": facts.settings["threshold"],
        "protocol": facts.protocol,
        "manifest_sha256": facts.manifest.sha256,
        "checkpoint_sha256": sha256_of_file(facts.run.best_checkpoint),
        "git_commit": facts.provenance.get("git_commit"),
        "git_commit_of_export": git_commit(),
        "eval_metrics": _finite_metrics(facts.results["metrics"]),
        "network_data_format": _data_format(facts, outputs),
    }


def _versions(packages: Mapping[str, str], version: str) -> dict[str, Any]:
    required = {**packages, **installed_versions(_UNSEEN)}
    return {
        "version": version,
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": {name: required[name] for name in sorted(required) if name not in _NAMED_APART},
    }


def _label_classes(facts: RunFacts, outputs: Mapping[str, Tensor]) -> str:
    labels = [f"{marker}: 0 absent, 1 present" for marker in facts.markers if Task.CLS in outputs]
    masks = ["mask: 0 background, 1 haematoma"] if Task.SEG in outputs else []
    return "; ".join([*labels, *masks]) or "none: the slice itself"


def _finite_metrics(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """`<test set>_<metric>`, without those that are not defined: JSON has no NaN."""
    return {
        f"{test}_{name}": value
        for test, values in metrics.items()
        for name, value in values.items()
        if math.isfinite(value)
    }


def _channels(head: str, facts: RunFacts) -> dict[str, str]:
    """What each channel of a head's output is."""
    if head == Task.SEG:
        return {"0": "logit of background", "1": "logit of haematoma"}
    if head == Task.REC:
        return {"0": "the windowed slice"}
    if len(facts.markers) == 1:
        return {"0": f"logit of {facts.markers[0]} absent", "1": f"logit of {facts.markers[0]} present"}
    return {str(channel): f"logit of {marker} present" for channel, marker in enumerate(facts.markers)}


def _data_format(facts: RunFacts, outputs: Mapping[str, Tensor]) -> dict[str, Any]:
    size = facts.settings["image_size"]
    low, high = (facts.settings["window"][0] + half * facts.settings["window"][1] / 2 for half in (-1, 1))
    image = {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": 1,
        "spatial_shape": [size, size],
        "dtype": "float32",
        "value_range": [0, 1],
        "is_patch_data": False,
        "channel_def": {"0": f"axial slice; {low:g} to {high:g} HU as 0 to 1, clipped"},
    }
    heads = {head: _output_format(head, output, facts) for head, output in outputs.items()}
    return {"inputs": {"image": image}, "outputs": {"pred": heads[primary_head(outputs)], **heads}}


def _output_format(head: str, output: Tensor, facts: RunFacts) -> dict[str, Any]:
    is_classifier = head == Task.CLS
    return {
        "type": "probabilities" if is_classifier else "image",
        "format": {Task.CLS: "classes", Task.SEG: "labels", Task.REC: "magnitude"}[Task(head)],
        "modality": "n/a" if head != Task.REC else "CT",
        "num_channels": output.shape[1],
        "spatial_shape": list(output.shape[2:]),
        "dtype": str(output.dtype).removeprefix("torch."),
        "value_range": [],
        "is_patch_data": False,
        "channel_def": _channels(head, facts),
    }
