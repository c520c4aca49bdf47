# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Figures of a classifier's scores on its test sets: ROC, precision and recall, and confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_curve

# Okabe and Ito's palette, told apart in every common form of colour blindness; line styles differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINE_STYLES = ("-", "--", "-.", ":")


@dataclass(frozen=True, eq=False)
class ScoredSlices:
    """The slices of one test set whose marker is known.

    Attributes:
        truth: bool (N,).
        probabilities: (N,).
        patients: (N,) whose slice each is.
        auc: value, lower and upper end of its 95 % interval; NaN where not defined.
    """

    truth: np.ndarray
    probabilities: np.ndarray
    patients: np.ndarray
    auc: tuple[float, float, float]

    @property
    def has_both(self) -> bool:
        """Whether there are positive and negative slices; otherwise there is no curve."""
        return bool(self.truth.any() and not self.truth.all())

    @property
    def counts(self) -> str:
        """How many slices, positive slices and patients, in words."""
        patients = len(np.unique(self.patients))
        return f"{len(self.truth)} slices, {int(self.truth.sum())} positive, {patients} patient{'s'[: patients != 1]}"

    @property
    def auc_text(self) -> str:
        """The AUC and its interval, in words."""
        return "AUC {:.3f} (95% CI {:.3f}-{:.3f})".format(*self.auc) if self.has_both else "AUC undefined"


def roc_figure(test_sets: Mapping[str, ScoredSlices], marker: str, threshold: float) -> Figure:
    """Receiver operating characteristics on one pair of axes, each with its AUC and its operating point.

    Args:
        test_sets: by name. A set with one class has no curve: the legend says so.
        marker: what the slices are classified by.
        threshold: a slice is called positive from this probability on. A dot marks it on each curve.
    """
    figure, axes = _square_axes(f"{marker}: ROC", "false positive rate", "true positive rate (recall)")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for number, (name, scored) in enumerate(test_sets.items()):
        x, y = np.zeros((2, 0))
        if scored.has_both:
            x, y, _ = roc_curve(scored.truth, scored.probabilities)
        _curve(axes, number, x, y, f"{name}\n{scored.auc_text}\n{scored.counts}")
        if scored.has_both:
            called = scored.probabilities >= threshold
            _operating_point(axes, number, called[~scored.truth].mean(), called[scored.truth].mean())
    _legend(axes, "lower right", threshold)
    return figure


def precision_recall_figure(test_sets: Mapping[str, ScoredSlices], marker: str, threshold: float) -> Figure:
    """Precision against recall on one pair of axes, each with its average precision and its operating point.

    A thin line in the set's colour marks its prevalence, the precision of calling everything positive. Where no slice
    is called positive, there is no dot.

    Args:
        test_sets: by name, as in `roc_figure`.
        marker: what the slices are classified by.
        threshold: a slice is called positive from this probability on.
    """
    figure, axes = _square_axes(f"{marker}: precision and recall", "recall", "precision")
    for number, (name, scored) in enumerate(test_sets.items()):
        (x, y), average = np.zeros((2, 0)), "AP undefined"
        if scored.has_both:
            y, x, _ = precision_recall_curve(scored.truth, scored.probabilities)
            average = f"AP {average_precision_score(scored.truth, scored.probabilities):.3f}"
        # steps, not slopes: precision between two thresholds cannot be interpolated linearly
        _curve(axes, number, x, y, f"{name}\n{average}, {scored.auc_text}\n{scored.counts}", "steps-post")
        if scored.has_both:
            axes.axhline(scored.truth.mean(), color=_colour(number), linewidth=0.7, alpha=0.6)
            called = scored.probabilities >= threshold
            if called.any():
                _operating_point(axes, number, called[scored.truth].mean(), scored.truth[called].mean())
    _legend(axes, "lower left", threshold)
    return figure


def confusion_figure(test_sets: Mapping[str, ScoredSlices], marker: str, threshold: float) -> Figure:
    """Confusion matrices side by side: counts, and the share of each true class; a darker cell is a larger share.

    Args:
        test_sets: by name, as in `roc_figure`.
        marker: what the slices are classified by.
        threshold: a slice is called positive from this probability on.
    """
    figure = Figure(figsize=(3.6 * max(len(test_sets), 1) + 0.4, 4.6), layout="constrained")
    names = [f"no {marker}", marker]
    grid = figure.subplots(1, max(len(test_sets), 1), squeeze=False)[0]
    for axes, (name, scored) in zip(grid, test_sets.items(), strict=True):
        cell = 2 * scored.truth + (scored.probabilities >= threshold)  # row-major: true, then predicted
        _draw_confusion(axes, np.bincount(cell, minlength=4).reshape(2, 2))
        axes.set_xticks([0, 1], names)
        axes.set_yticks([0, 1], names, rotation=90, va="center")
        axes.set(xlabel=f"predicted (threshold {threshold:g})", ylabel="true")
        axes.set_title(f"{name}\n{scored.counts}\n{scored.auc_text}", fontsize=8)
    figure.suptitle(f"{marker}: confusion matrix", fontsize=11)
    return figure


def _draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(2, 2):
        share = shares[row, column]
        text = f"{counts[row, column]}\n{share:.0%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black")


def _square_axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal", xlabel=x_label, ylabel=y_label, title=title)
    axes.grid(color="0.92", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _curve(axes: Axes, number: int, x: np.ndarray, y: np.ndarray, label: str, drawstyle: str = "default") -> None:
    style = LINE_STYLES[number % len(LINE_STYLES)]
    axes.plot(x, y, color=_colour(number), linestyle=style, linewidth=1.8, drawstyle=drawstyle, label=label)


def _operating_point(axes: Axes, number: int, x: float, y: float) -> None:
    axes.plot([x], [y], "o", color=_colour(number), markersize=7, markeredgecolor="black", zorder=3, clip_on=False)


def _legend(axes: Axes, place: Literal["lower right", "lower left"], threshold: float) -> None:
    axes.plot([], [], "o", color="white", markeredgecolor="black", label=f"threshold {threshold:g}")
    axes.legend(loc=place, fontsize=8)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
