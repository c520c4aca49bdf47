# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""docs/README.md of an exported bundle: the model card, by the template beside this file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from monai_ich.export.bundle_metadata import primary_head
from monai_ich.export.exported_network import BATCH_SIZES, ONNX_OPSET, onnx_versions
from monai_ich.export.run_facts import RunFacts
from monai_ich.networks.encoder_origins import ORIGINS, origins_text
from monai_ich.utils.keys import Task
from monai_ich.utils.templates import render

_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
# A column of the table of results, and the metric that it shows.
_COLUMNS = {"n": "n", "positive": "n_positive", "acc": "acc", "prec": "precision", "rec": "recall"}
_COLUMNS |= {"macro-F1": "f1", "AUC": "auc", "IoU": "iou", "false alarms": "false_alarms"}
# Below this many positives a single one moves the recall by more than two points.
_FEW_POSITIVES = 50


@dataclass(frozen=True)
class ExportChecks:
    """Largest absolute differences from the network, for each head."""

    torchscript: dict[str, float]
    onnx: dict[str, float]


def model_card(facts: RunFacts, meta: Mapping[str, Any], checks: ExportChecks, parameters: int) -> str:
    """Returns the card in Markdown.

    Args:
        facts: of the run.
        meta: the bundle's metadata.
        checks: how far the exported files are from the network.
        parameters: of the network.
    """
    heads = meta["heads"]
    return render(
        _TEMPLATE,
        facts=facts,
        settings=facts.settings,
        meta=meta,
        parameters=parameters,
        heads=heads,
        primary=primary_head(heads),
        classifies=Task.CLS in heads,
        data_licence=facts.card.get("licence", "not stated"),
        shown_settings=[[name, _shown(value)] for name, value in facts.settings.items() if value not in ("", None, {})],
        encoder=origins_text(facts.results.get(ORIGINS)),
        training_packages=_texts(facts.provenance.get("packages", {})),
        few_positives=_FEW_POSITIVES,
        batch_sizes=BATCH_SIZES,
        opset=ONNX_OPSET,
        onnx_packages=_texts(onnx_versions()),
        differences=[[head, f"{checks.torchscript[head]:.1e}", f"{checks.onnx[head]:.1e}"] for head in heads],
        shapes=[_shape(head, meta["network_data_format"]["outputs"][head]) for head in heads],
        **_counts(facts),
        **_results(facts.results["metrics"]),
    )


def _shown(value: Any) -> str:
    """A setting's value; of a path, the file's name, as its folders would tell of this machine."""
    return PurePath(value).name if isinstance(value, str) else str(value)


def _texts(versions: Mapping[str, str]) -> list[str]:
    return [f"{name} {version}" for name, version in versions.items()]


def _shape(head: str, form: Mapping[str, Any]) -> list[str]:
    shape = ", ".join(map(str, ["B", form["num_channels"], *form["spatial_shape"]]))
    return [head, f"({shape})", "; ".join(f"{channel}: {text}" for channel, text in form["channel_def"].items())]


def _counts(facts: RunFacts) -> dict[str, Any]:
    """The table of the splits."""
    header = ["split", "slices", "patients", "with a mask", *(f"{marker} positive" for marker in facts.markers)]
    rows = [
        [split, n["slices"], n["patients"], n["annotated"], *(n["positives"][marker] for marker in facts.markers)]
        for split, n in facts.counts.items()
    ]
    return {"counts_header": header, "counts": rows}


def _results(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """The table of the test sets, with the columns that any of them has, and the sets with few positives."""
    shown = {title: key for title, key in _COLUMNS.items() if any(key in values for values in metrics.values())}
    rows = [[name, *(_number(values.get(key)) for key in shown.values())] for name, values in metrics.items()]
    few = [name for name, values in metrics.items() if values.get("n_positive", _FEW_POSITIVES) < _FEW_POSITIVES]
    return {"results_header": ["test set", *shown], "results": rows, "uncertain": few}


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
