# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures of results: curves, confusion matrix, and a panel of slices; drawn without a display and without pyplot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

# Okabe and Ito's palette, told apart in every common form of colour blindness; line styles differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")
MASK_COLOUR, PREDICTION_COLOUR = "#56B4E9", "#E69F00"  # both bright enough on a CT's greys

Predictions = tuple[np.ndarray, np.ndarray]


def roc_figure(predictions: Mapping[str, Predictions], title: str = "ROC") -> Figure:
    """Receiver operating characteristics of several test sets on one pair of axes, with the AUC of each.

    Args:
        predictions: `{name: (labels (N,), probabilities (N,))}`; unknown labels (NaN or negative) are left out. A set
            with one class has no curve: the legend says so.
        title: above the axes.
    """
    figure, axes = _square_axes(title, "false positive rate", "true positive rate (recall)")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for number, (name, (labels, probabilities)) in enumerate(predictions.items()):
        truth, scores = _known(labels, probabilities)
        if _has_both(truth):
            x, y, _ = roc_curve(truth, scores)
            _curve(axes, number, x, y, f"{name}: AUC {roc_auc_score(truth, scores):.3f} ({_counts(truth)})")
        else:
            _no_curve(axes, number, f"{name}: AUC undefined ({_counts(truth)})")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def precision_recall_figure(predictions: Mapping[str, Predictions], title: str = "Precision and recall") -> Figure:
    """Precision against recall of several test sets on one pair of axes, with the average precision of each.

    A thin line in the set's colour marks its prevalence, the precision of calling everything positive.

    Args:
        predictions: see `roc_figure`.
        title: above the axes.
    """
    figure, axes = _square_axes(title, "recall", "precision")
    for number, (name, (labels, probabilities)) in enumerate(predictions.items()):
        truth, scores = _known(labels, probabilities)
        if _has_both(truth):
            precision, recall, _ = precision_recall_curve(truth, scores)
            average = average_precision_score(truth, scores)
            # steps, not slopes: precision between two thresholds cannot be interpolated linearly
            _curve(axes, number, recall, precision, f"{name}: AP {average:.3f} ({_counts(truth)})", "steps-post")
            axes.axhline(truth.mean(), color=_colour(number), linewidth=0.7, alpha=0.6)
        else:
            _no_curve(axes, number, f"{name}: AP undefined ({_counts(truth)})")
    axes.legend(loc="lower left", fontsize=8)
    return figure


def confusion_figure(
    predictions: Mapping[str, Predictions], threshold: float = 0.5, marker: str = "positive"
) -> Figure:
    """Confusion matrices side by side: counts, and the share of each true class; a darker cell is a larger share.

    Args:
        predictions: see `roc_figure`.
        threshold: a slice is called positive from this probability on.
        marker: what a positive slice is called on the axes.
    """
    figure = Figure(figsize=(3.4 * max(len(predictions), 1) + 0.4, 3.9), layout="constrained")
    names = ["negative" if marker == "positive" else f"no {marker}", marker]
    grid = figure.subplots(1, max(len(predictions), 1), squeeze=False)[0]
    for axes, (name, (labels, probabilities)) in zip(grid, predictions.items(), strict=True):
        truth, scores = _known(labels, probabilities)
        _draw_confusion(axes, confusion_matrix(truth, scores >= threshold, labels=[0, 1]))
        axes.set_xticks([0, 1], names)
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.set(xlabel=f"predicted (threshold {threshold:g})", ylabel="true", title=name)
    return figure


def panel_figure(
    images: np.ndarray,
    masks: np.ndarray | None = None,
    has_mask: Sequence[bool] | np.ndarray | None = None,
    seg_probabilities: np.ndarray | None = None,
    reconstructions: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Slices in rows: image, mask, prediction and reconstruction side by side, outlines in colours of their own.

    Args:
        images: (N, H, W) or (N, 1, H, W), in [0, 1].
        masks: the same shape, 1 = haematoma; None where the truth is not known.
        has_mask: bool (N,), whether the slice was annotated; None = all were.
        seg_probabilities: the same shape as `images`, of haematoma; None without a segmentation.
        reconstructions: the same shape as `images`; None without a reconstruction.
        titles: (N,) what each slice is, on its left.

    Raises:
        ValueError: there is no slice, or the shapes differ.
    """
    annotated = np.ones(len(images), dtype=bool) if has_mask is None else np.asarray(has_mask, dtype=bool)
    given = {"image": images, "mask": masks, "prediction": seg_probabilities, "reconstruction": reconstructions}
    planes = {name: _planes(arrays, images) for name, arrays in given.items() if arrays is not None}
    figure = Figure(figsize=(2.1 * len(planes) + 0.3, 2.1 * len(images) + 0.5), layout="constrained")
    grid = figure.subplots(len(images), len(planes), squeeze=False)
    for number, row in enumerate(grid):
        truth = planes["mask"][number] * annotated[number] if "mask" in planes else None
        for axes, name in zip(row, planes, strict=True):
            shown = planes[name if name == "reconstruction" else "image"][number]
            axes.imshow(shown, cmap="gray", vmin=0, vmax=1)
            axes.set(xticks=[], yticks=[])
            if number == 0:
                axes.set_title(name, fontsize=10)
            if name == "mask":
                _draw_mask(axes, planes[name][number], bool(annotated[number]))
            elif name == "prediction":
                _draw_prediction(axes, planes[name][number], truth)
        if titles is not None:
            row[0].set_ylabel(titles[number], fontsize=8)
    _panel_legend(figure, planes)
    return figure


def _draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        share = shares[row, column]
        text = f"{counts[row, column]}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")


def _draw_mask(axes: Axes, mask: np.ndarray, annotated: bool) -> None:
    if annotated and mask.any():
        _outline(axes, mask, MASK_COLOUR, "-")
        return
    text = "no blood" if annotated else "not annotated"
    box = {"facecolor": "black", "edgecolor": "none", "pad": 2}  # legible also over bone
    axes.text(0.5, 0.04, text, color="white", fontsize=8, ha="center", transform=axes.transAxes, bbox=box)


def _draw_prediction(axes: Axes, probability: np.ndarray, truth: np.ndarray | None) -> None:
    if truth is not None:
        _outline(axes, truth, MASK_COLOUR, "--")
    _outline(axes, probability, PREDICTION_COLOUR, "-")


def _panel_legend(figure: Figure, planes: Mapping[str, np.ndarray]) -> None:
    colours = {"mask": MASK_COLOUR, "prediction": PREDICTION_COLOUR}
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items() if name in planes]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)


def _outline(axes: Axes, plane: np.ndarray, colour: str, style: str) -> None:
    # matplotlib warns when there is nothing to outline
    if plane.max() > 0.5 and plane.min() < 0.5:
        axes.contour(plane, levels=[0.5], colors=colour, linestyles=style, linewidths=1.2)


def _planes(arrays: np.ndarray, like: np.ndarray) -> np.ndarray:
    planes = np.asarray(arrays, dtype=float)
    planes = planes[:, 0] if planes.ndim == 4 else planes
    size = (len(like), *np.shape(like)[-2:])
    if planes.shape != size or not len(planes):
        raise ValueError(f"expected at least one slice and arrays of shape {size}, got {planes.shape}")
    return planes


def _square_axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=x_label, ylabel=y_label, title=title)
    axes.grid(color="0.92", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curve(axes: Axes, number: int, x: np.ndarray, y: np.ndarray, label: str, drawstyle: str = "default") -> None:
    style = LINE_STYLES[number % len(LINE_STYLES)]
    axes.plot(x, y, color=_colour(number), linestyle=style, linewidth=1.8, drawstyle=drawstyle, label=label)


def _no_curve(axes: Axes, number: int, label: str) -> None:
    axes.plot([], [], color=_colour(number), label=label)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _counts(truth: np.ndarray) -> str:
    return f"{int(truth.sum())} of {len(truth)} positive"


def _known(labels: np.ndarray, probabilities: np.ndarray) -> Predictions:
    labels, probabilities = np.asarray(labels, dtype=float), np.asarray(probabilities, dtype=float)
    known = labels >= 0  # False for NaN
    return labels[known] == 1, probabilities[known]


def _has_both(truth: np.ndarray) -> bool:
    return bool(truth.any() and not truth.all())
