# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Heat maps against the known cause: where counterfactual pairs differ, and whether the maps say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from monai_ich.data import SliceDataset
from monai_ich.gradcam.class_activation import evaluation_mode
from monai_ich.gradcam.explainer import GradCAMChoice, GradCAMExplainer, default_layer, swin_layer
from monai_ich.gradcam.localisation import energy_share, uniform_share
from monai_ich.metrics import counterfactual_pairs
from monai_ich.networks import MultiTaskNet
from monai_ich.utils.attributes import Attribute
from monai_ich.utils.keys import PAIR_ID, Key, Task

CHANGED = 0.04  # of the brain window's 0..1 (3 HU): two pixels that differ by more are changed
MOVED = 0.1  # of probability: a pair whose prediction moves by more depends on the attribute
COMPARED_METHODS = ("hirescam", "gradcam")


def changed_region(present: np.ndarray, absent: np.ndarray, changed: float = CHANGED) -> np.ndarray:
    """Where the two images of a pair differ: the only place that can cause a difference of their predictions.

    >>> changed_region(np.array([[[0.5, 0.5]]]), np.array([[[0.5, 0.4]]])).tolist()
    [[[False, True]]]

    Args:
        present: (N, H, W) windowed to [0, 1].
        absent: the same of the partners.
        changed: pixels that differ by more than this count.

    Returns:
        bool (N, H, W).

    Raises:
        ValueError: the shapes differ.
    """
    if np.shape(present) != np.shape(absent) or np.ndim(present) != 3:
        raise ValueError(f"expected images of one shape (N, H, W), got {np.shape(present)} and {np.shape(absent)}")
    return np.abs(np.asarray(present, dtype=float) - np.asarray(absent, dtype=float)) > changed


def compared_choices(network: MultiTaskNet, marker: str = "") -> list[GradCAMChoice]:
    """HiResCAM and Grad-CAM of the classifier at the default layer; of a Swin encoder at H/8 and at H/16."""
    layers = [default_layer(network), swin_layer(network, 1)]
    return [
        GradCAMChoice(marker=marker, layer=layer, method=method)
        for layer in dict.fromkeys(filter(None, layers))
        for method in COMPARED_METHODS
    ]


def measure_pairs(
    network: MultiTaskNet,
    markers: Sequence[str],
    dataset: SliceDataset,
    attribute: Attribute,
    choices: Sequence[GradCAMChoice],
    batch_size: int,
) -> pd.DataFrame:
    """Measures the maps of every pair's slice with the attribute.

    Args:
        network: trained, with a classifier.
        markers: names of its outputs.
        dataset: without augmentation, with pairs.
        attribute: that the pairs differ in, with a value that counts as "with".
        choices: methods and layers.
        batch_size: pairs at once.

    Returns:
        One row a pair and choice: `method, layer, pair_id, key, patient_id, hospital`; `probability` and
        `probability_without` (of the partner), and `effect`, their difference; `map_maximum`; `clot_energy` and
        `cause_energy`, the shares of the map's sum in the mask and in `changed_region`, with `clot_uniform` and
        `cause_uniform`, what a map without structure has. Energies are missing where the map is empty, all of a region
        where it is.

    Raises:
        ComparisonError: see `counterfactual_pairs`.
        ConfigurationError: a choice does not fit the network.
    """
    frame = dataset.slices.frame.loc[dataset.rows].reset_index(drop=True)
    pairs = counterfactual_pairs(frame, attribute)
    explainers = [GradCAMExplainer(network, markers, replace(choice, head=Task.CLS.value)) for choice in choices]
    parts = []
    for begin in range(0, len(pairs), batch_size):
        rows = pairs[begin : begin + batch_size]
        samples = [[dataset[int(row)] for row in of_pair] for of_pair in rows]
        present, absent = (torch.stack([both[side][Key.IMAGE] for both in samples]) for side in (0, 1))
        masks = torch.stack([both[0][Key.MASK][0] for both in samples]).numpy().astype(bool)
        cause = changed_region(present[:, 0].numpy(), absent[:, 0].numpy())
        for explainer in explainers:
            parts.append(_measured(explainer, frame.iloc[rows[:, 0]], present, absent, masks, cause))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _measured(
    explainer: GradCAMExplainer,
    slices: pd.DataFrame,
    present: torch.Tensor,
    absent: torch.Tensor,
    masks: np.ndarray,
    cause: np.ndarray,
) -> pd.DataFrame:
    found = explainer(present)
    device = next(explainer.network.parameters()).device
    with torch.inference_mode(), evaluation_mode(explainer.network):
        without = explainer.probabilities(explainer.network(absent.to(device)).float().cpu())
    probability = explainer.probabilities(found.output)
    assert probability is not None  # the choice's head is the classifier
    assert without is not None
    maps = found.maps.numpy()
    columns: dict[str, Any] = {
        "method": explainer.choice.method,
        "layer": explainer.choice.layer,
        **{name: slices[name].to_numpy() for name in (PAIR_ID, *map(str, (Key.KEY, Key.PATIENT_ID, Key.HOSPITAL)))},
        "probability": probability.numpy().astype(float),
        "probability_without": without.numpy().astype(float),
        "effect": (probability - without).numpy().astype(float),
        "map_maximum": maps.max(axis=(1, 2)).astype(float),
        "clot_energy": energy_share(maps, masks),
        "clot_uniform": uniform_share(masks),
        "cause_energy": energy_share(maps, cause),
        "cause_uniform": uniform_share(cause),
    }
    return pd.DataFrame(columns)


def summarise_pairs(rows: pd.DataFrame, by: Sequence[str] = ("method", "layer"), moved: float = MOVED) -> pd.DataFrame:
    """What the maps say of the cause, one row a method and layer.

    Args:
        rows: of `measure_pairs`; with several runs, their names in a column.
        by: columns that tell the groups apart, such as `("run", "method", "layer")`.
        moved: a pair depends on the attribute if its probability moves by more than this.

    Returns:
        `pairs`; `empty_maps`; `ace`, the mean effect; the means of the energies and of the uniform shares; `moved`, the
        number of pairs that depend on the attribute and have a map; `false_acquittals`, the share of these whose map
        has less energy in the cause than a map without structure, NaN where there are none; `rank_correlation` of
        |effect| and `cause_energy` over the pairs (Spearman), NaN where one of the two does not vary.
    """
    lines = []
    for names, group in rows.groupby(list(by), sort=False):
        known = group[group["cause_energy"].notna()]
        depending = known[known["effect"].abs() > moved]
        acquitted = depending["cause_energy"] < depending["cause_uniform"]
        line = dict(zip(by, names, strict=True))
        line |= {"pairs": len(group), "empty_maps": int((group["map_maximum"] <= 0).sum())}
        line |= {"ace": group["effect"].mean()}
        line |= {n: group[n].mean() for n in ("clot_energy", "clot_uniform", "cause_energy", "cause_uniform")}
        line |= {"moved": len(depending), "false_acquittals": acquitted.mean() if len(depending) else np.nan}
        lines.append(line | {"rank_correlation": _rank_correlation(known["effect"].abs(), known["cause_energy"])})
    return pd.DataFrame(lines)


def rank_over_networks(summary: pd.DataFrame) -> pd.DataFrame:
    """Whether maps rank networks as their dependence on the attribute does.

    Args:
        summary: of `summarise_pairs` over several runs: one row a run, method and layer.

    Returns:
        One row a method and layer: `networks`, and `rank_correlation` of |ACE| and mean `cause_energy` over them
        (Spearman), NaN where one of the two does not vary.
    """
    lines = []
    for (method, layer), group in summary.groupby(["method", "layer"], sort=False):
        known = group[group["cause_energy"].notna()]
        correlation = _rank_correlation(known["ace"].abs(), known["cause_energy"])
        lines.append({"method": method, "layer": layer, "networks": len(known), "rank_correlation": correlation})
    return pd.DataFrame(lines)


def _rank_correlation(one: pd.Series, other: pd.Series) -> float:
    if one.nunique() < 2 or other.nunique() < 2:
        return np.nan
    return float(spearmanr(one, other).statistic)
