# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""docs/README.md of an exported bundle: the model card."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from monai_ich.export.exported_network import BATCH_SIZES, ONNX_OPSET, onnx_versions
from monai_ich.export.run_facts import RunFacts
from monai_ich.utils.keys import Task

# A column of the table of results, and the metric that it shows.
_COLUMNS = {"n": "n", "positive": "n_positive", "acc": "acc", "prec": "precision", "rec": "recall"}
_COLUMNS |= {"macro-F1": "f1", "AUC": "auc", "IoU": "iou", "false alarms": "false_alarms"}
# Below this many positives a single one moves the recall by more than two points.
_FEW_POSITIVES = 50

_LIMITS = """\
- It reads axial non-contrast head CT in HU, and refuses other modalities, scouts and secondary captures. It does not
  notice contrast agent, another part of the body or an artefact.
- Scanners, kernels, slice thicknesses and patients other than those of the training data may give other results; test
  sets from other hospitals, where there are any below, say by how much.
- TorchScript and ONNX were traced and compared on a CPU, for {size} x {size} pixels; other sizes, multiples of 32, are
  for `multitask_network`."""
_LIMITS_CLASSIFIER = """
- It judges slices. A study's probability is the highest of its slices'; that rule was not evaluated.
- Probabilities are not calibrated, and the threshold of {threshold:g} was not chosen for a purpose.
- A classifier may rest on what goes along with a marker (blood, skull, position) instead of on the marker. Look at heat
  maps before you believe it."""

_USE = """\
Unpack it, install what `configs/metadata.json` names, and run from this folder:

```bash
python -m monai.bundle run --config_file configs/inference.json --bundle_root . --input STUDY --output_dir OUT
```

`STUDY` is a DICOM file, a folder of one series, or a volume such as NIfTI. `OUT` gets `slices.csv`, `study.json`,
`panel.png` and, of a network that segments, `mask.nii.gz` on the input's own grid; of a tilted series, which gives it a
sheared affine that ITK refuses, `mask_unsheared.nii.gz` too. The code under `scripts/` is a copy of the modules of
monai_ich that this needs; nothing else has to be installed.

`models/model.pt` is the state dict, `models/model.ts` TorchScript (returns a dict), `models/model.onnx` ONNX. Outputs:
{heads}; input: float32 (B, 1, {size}, {size}), any B. MONAI's tools want one tensor, so `network_def` returns the
output `{primary}` (`pred` in the metadata) and holds the weights of all heads; `multitask_network` returns the dict.

```bash
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json
python -m monai.bundle ckpt_export network_def --filepath {primary}.ts --ckpt_file models/model.pt \\
    --meta_file configs/metadata.json --config_file configs/inference.json --use_trace True
```"""


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
    size, outputs = facts.settings["image_size"], meta["network_data_format"]["outputs"]
    heads = {head: outputs[head] for head in meta["heads"]}
    primary = next(head for head in heads if heads[head] == outputs["pred"])
    limits = (_LIMITS + (_LIMITS_CLASSIFIER if Task.CLS in heads else "")).format(
        size=size, threshold=facts.settings["threshold"]
    )
    use = _USE.format(heads=", ".join(f"`{head}`" for head in heads), size=size, primary=primary)
    sections = {
        "Intended use": meta["intended_use"],
        "Limits": limits,
        "Data": _data(facts),
        "Results": _results(facts),
        "Network": _network(facts, heads, parameters),
        "Training": _training(facts, meta["git_commit_of_export"]),
        "Use": use,
        "Checks of the export": _checks(checks),
        "Licence": _licence(facts),
        "References": "\n".join(f"- {reference}" for reference in meta.get("references", [])),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items() if text)
    return f"# {meta['name']}\n\n{meta['task']}. Row of Table 1 (arXiv 2505.06185): **{facts.row}**.\n\n{body}\n"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in Markdown.

    >>> print(table(["a", "b"], [[1, 2]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    text = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(header), *text[1:]])


def _data(facts: RunFacts) -> str:
    card = facts.card
    markers = facts.markers
    rows = [
        [split, counts["slices"], counts["patients"], counts["annotated"], *(counts["positives"][m] for m in markers)]
        for split, counts in facts.counts.items()
    ]
    header = ["split", "slices", "patients", "with a mask", *(f"{marker} positive" for marker in markers)]
    return "\n".join(
        [
            f"- data set: {card.get('name', 'not stated')}. {card.get('description', '')}".rstrip(),
            f"- licence of the data: {card.get('licence', 'not stated')}",
            f"- manifest: sha256 `{facts.manifest.sha256}`",
            f"- protocol: {facts.protocol}",
            "",
            table(header, rows),
        ]
    )


def _results(facts: RunFacts) -> str:
    metrics: Mapping[str, Mapping[str, float]] = facts.results["metrics"]
    shown = {title: key for title, key in _COLUMNS.items() if any(key in values for values in metrics.values())}
    rows = [[name, *(_number(values.get(key)) for key in shown.values())] for name, values in metrics.items()]
    lines = [table(["test set", *shown], rows), ""]
    lines.append(f"One run, weights of epoch {facts.results['epoch']}, threshold {facts.results['threshold']:g}.")
    few = [name for name, values in metrics.items() if values.get("n_positive", _FEW_POSITIVES) < _FEW_POSITIVES]
    if few:
        lines.append(
            f"Fewer than {_FEW_POSITIVES} positives in {' and '.join(few)}: these figures are uncertain, and no "
            "comparison should rest on them alone."
        )
    return "\n".join(lines)


def _network(facts: RunFacts, heads: Mapping[str, Mapping[str, Any]], parameters: int) -> str:
    settings = facts.settings
    level, width = settings["window"]
    rows = [
        [head, f"(B, {', '.join(map(str, [form['num_channels'], *form['spatial_shape']]))})", _channel_text(form)]
        for head, form in heads.items()
    ]
    return "\n".join(
        [
            f"- size `{settings['size']}`, {parameters / 1e6:.2f} million parameters",
            f"- input: float32 (B, 1, {settings['image_size']}, {settings['image_size']}), HU window level {level:g} "
            f"width {width:g} as 0 to 1; rows from anterior to posterior, columns from the patient's right to left",
            f"- precision when run by the bundle: `{settings['precision']}`",
            "",
            table(["output", "shape", "channels"], rows),
        ]
    )


def _channel_text(form: Mapping[str, Any]) -> str:
    return "; ".join(f"{channel}: {text}" for channel, text in form["channel_def"].items())


def _training(facts: RunFacts, export_commit: str | None) -> str:
    settings = facts.settings
    weights = ", ".join(f"{task} {weight:g}" for task, weight in settings["loss_weights"].items())
    packages = ", ".join(f"{name} {version}" for name, version in facts.provenance.get("packages", {}).items())
    return "\n".join(
        [
            f"- epochs {settings['max_epochs']}, batch {settings['batch_size']}, learning rate {settings['lr']:g}, "
            f"seed {settings['seed']}; loss weights: {weights}",
            # a path would say whose machine it was
            f"- encoder from: {PurePath(settings['pretrained']).name or 'random weights'}",
            f"- commit `{facts.provenance.get('git_commit')}`, exported at `{export_commit}`; {packages}",
        ]
    )


def _checks(checks: ExportChecks) -> str:
    rows = [[head, f"{checks.torchscript[head]:.1e}", f"{checks.onnx[head]:.1e}"] for head in checks.torchscript]
    versions = ", ".join(f"{name} {version}" for name, version in onnx_versions().items())
    sizes = ", ".join(map(str, BATCH_SIZES))
    return "\n".join(
        [
            f"Largest absolute difference from the network in float32, over random batches of {sizes} images "
            f"(opset {ONNX_OPSET}; {versions}):",
            "",
            table(["output", "TorchScript", "ONNX"], rows),
        ]
    )


def _licence(facts: RunFacts) -> str:
    return (
        "The code is under Apache-2.0 (`LICENSE`). Whether the weights may be passed on is for the licence of the data "
        f"that they were trained on to say: {facts.card.get('licence', 'not stated')}."
    )


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
