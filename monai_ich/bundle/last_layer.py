# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Deep feature reweighting: a trained network's last layer, fitted anew on balanced groups (arXiv 2204.02937)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader
from monai.inferers import Inferer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.preprocessing import StandardScaler
from torch import nn

from monai_ich.bundle.evaluation import Evaluation, evaluate
from monai_ich.bundle.run_directory import DFR_ON, open_run_directory
from monai_ich.config.former_configs import upgraded
from monai_ich.data import SliceDataset, SliceGroups, SliceStore, SubsampledStrata
from monai_ich.engines import rank, wait_for_all
from monai_ich.handlers.checkpoints import save_atomically
from monai_ich.metrics import worst_group_accuracy
from monai_ich.networks import MultiTaskNet, load_weights
from monai_ich.utils.console import console
from monai_ich.utils.errors import ConfigurationError, FaultList, RunDirectoryError
from monai_ich.utils.keys import Key, Split, Task
from monai_ich.utils.run_files import RunDirectory

# of the authors' public code for Waterbirds
INVERSE_PENALTIES = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
FITS = {Split.VAL: 20, Split.TRAIN: 10}


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """What the last layer gets of the slices of a split that are in a group.

    Attributes:
        features: float64 (n, C).
        groups: int64 (n,), from 0 to G - 1; odd ones are of positive slices (see `SliceGroups`).
        patients: (n,), whose slice it is.
    """

    features: np.ndarray
    groups: np.ndarray
    patients: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> LabelledFeatures:
        return LabelledFeatures(self.features[rows], self.groups[rows], self.patients[rows])


@dataclass(frozen=True, eq=False)
class RefittedLayer:
    """A linear layer with one output, the log-odds of the marker.

    Attributes:
        weight: float64 (C,), of the features as they are.
        bias: float.
        inverse_penalty: C of the logistic regression, as chosen.
    """

    weight: np.ndarray
    bias: float
    inverse_penalty: float


def refit_layer(train: LabelledFeatures, val: LabelledFeatures, on: str, seed: int = 0) -> RefittedLayer:
    """Fits the last layer on balanced groups.

    Features are standardised by the mean and deviation of training. C is the one with the best worst-group accuracy.
    For `val` it is fitted on half of the validation's patients and tested on the other half (the authors halve
    slices); for `train` it is fitted on training and tested on validation. The layer is the mean of the coefficients
    of 20 (`val`) or 10 (`train`) fits with the L1 penalty, each on another random subset in which the groups have the
    same number of slices.

    Args:
        train: of training.
        val: of validation.
        on: what to fit on, `val` or `train`.
        seed: of the halves and the subsets.

    Raises:
        ConfigurationError: a group that training has is missing in what is fitted on.
    """
    scaler = StandardScaler().fit(train.features)
    train, val = (
        LabelledFeatures(scaler.transform(part.features), part.groups, part.patients) for part in (train, val)
    )
    fitted, tested = (train, val) if on == Split.TRAIN else _halves(val, seed)
    _refuse_missing_groups(train.groups, fitted.groups, on)
    chosen = max(INVERSE_PENALTIES, key=lambda c: _worst_accuracy(_fit(fitted, c, seed), tested))
    fits = [_fit(train if on == Split.TRAIN else val, chosen, seed + 1 + number) for number in range(FITS[Split(on)])]
    coefficients = np.mean([fit.coef_[0] for fit in fits], axis=0)
    intercept = float(np.mean([fit.intercept_[0] for fit in fits]))
    weight = coefficients / scaler.scale_
    return RefittedLayer(weight, intercept - float(weight @ scaler.mean_), chosen)


class LastLayerRetraining:
    """Fits the classifier's last layer of a trained network anew, and puts it into the network."""

    def __init__(
        self,
        network: MultiTaskNet,
        slices: SliceStore,
        groups: SliceGroups | None,
        markers: Sequence[str],
        on: str,
        inferer: Inferer,
        device: torch.device,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        """
        Args:
            network: the bare network, with a classifier of one marker.
            slices: of the manifest.
            groups: of its slices.
            markers: the one marker.
            on: the split to fit on, `val` (the authors' main method) or `train`.
            inferer: as in validation.
            device: where the network is.
            batch_size: slices at once.
            num_workers: loader processes.
            seed: of the random subsets.

        Raises:
            ConfigurationError: with all that is missing.
        """
        faults = FaultList("the last layer cannot be trained anew:")
        if groups is None:
            faults.add("it is fitted on balanced groups of slices; name the attributes in data::attributes")
        if Task.CLS not in network.heads:
            faults.add(f"the network has no classifier, only {', '.join(network.heads)}; take a row with one")
        if on not in FITS:
            faults.add(f"dfr_on: expected {' or '.join(FITS)}, got {on!r}")
        faults.raise_if_any(ConfigurationError)
        assert groups is not None  # otherwise a fault was raised
        self.network, self.on, self.seed = network, on, seed
        self.datasets = {
            split: SliceDataset(slices, split, markers=markers, groups=groups) for split in (Split.TRAIN, Split.VAL)
        }
        self.inferer, self.device = inferer, device
        self.batch_size, self.num_workers = batch_size, num_workers

    def run(self) -> RefittedLayer:
        """Fits the layer and writes it into the network: class 1 gets the log-odds as its logit, and class 0 gets 0."""
        layer = refit_layer(self.features(Split.TRAIN), self.features(Split.VAL), self.on, self.seed)
        linear = last_layer(self.network)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(np.stack([np.zeros_like(layer.weight), layer.weight])))
            linear.bias.copy_(torch.tensor([0.0, layer.bias]))
        return layer

    def features(self, split: Split) -> LabelledFeatures:
        """What the last layer gets of the slices of a split, without augmentation; those of no group are left out."""
        dataset = self.datasets[split]
        loader = DataLoader(dataset, batch_size=self.batch_size, num_workers=self.num_workers)
        kept: list[torch.Tensor] = []
        hook = last_layer(self.network).register_forward_pre_hook(
            lambda _, arguments: kept.append(arguments[0].detach().double().cpu())
        )
        only_classifier = MultiTaskNet(self.network.encoder, {Task.CLS: self.network.heads[Task.CLS]}).eval()
        try:
            with torch.no_grad():
                for batch in loader:
                    self.inferer(batch[Key.IMAGE].to(self.device), only_classifier)
        finally:
            hook.remove()
        patients = dataset.slices.frame["patient_id"].to_numpy()[dataset.rows]
        groups = dataset.groups
        assert groups is not None  # the data set was made with groups
        return LabelledFeatures(torch.cat(kept).numpy(), groups, patients)[groups >= 0]


def last_layer(network: nn.Module) -> nn.Linear:
    """The linear layer of a network's classifier."""
    return network.heads[Task.CLS].linear  # type: ignore[union-attr,index]


def open_retrained_run(
    run: str, output_dir: str, on: str, attributes: Sequence[str], bins: dict[str, Any]
) -> RunDirectory:
    """Makes the directory of a run whose last layer is trained anew: the other run's config, and what is new in it.

    Args:
        run: the directory of the complete run.
        output_dir: the directory to make.
        on: the split to fit on.
        attributes: of the groups.
        bins: of the attributes that are numbers.

    Raises:
        RunDirectoryError: `run` is not complete, or `output_dir` holds another run or a complete one.
    """
    trained = RunDirectory(Path(run))
    if not trained.results.is_file():
        raise RunDirectoryError(
            f"expected a complete run in {run}, but it has no {trained.results.name}; train it first"
        )
    config = upgraded(trained.read_config())
    changes = {
        "bundle_root": run,
        DFR_ON: on,
        "precision": "float32",
        "data": {**config["data"], "attributes": list(attributes), "attribute_bins": dict(bins)},
    }
    return open_run_directory({**config, **changes}, runs_dir="", run_name=Path(output_dir).name, run_dir=output_dir)


def retrain_last_layer(retraining: LastLayerRetraining, trained: str, evaluation: Evaluation) -> None:
    """Trains the last layer of a run anew, keeps the network as a run of its own, and evaluates it on the test sets.

    Args:
        retraining: of the network.
        trained: the checkpoint with the weights to begin from.
        evaluation: of the network; its checkpoint is written here.

    Raises:
        RunDirectoryError: the checkpoint is missing or of another network.
        ConfigurationError: a group is missing in the split.
    """
    rest = load_weights(retraining.network, Path(trained))
    layer = retraining.run()
    if rank() == 0:
        dfr = {"on": retraining.on, "inverse_penalty": layer.inverse_penalty, "fits": FITS[Split(retraining.on)]}
        content = {**rest, "model": retraining.network.state_dict(), "dfr": dfr}
        save_atomically(content, Path(evaluation.checkpoint))
        console.print(
            f"last layer: {dfr['fits']} fits on balanced groups of {retraining.on}, C = {layer.inverse_penalty:g}, "
            f"{np.count_nonzero(layer.weight)} of {len(layer.weight)} features in use"
        )
    wait_for_all()
    evaluate(evaluation)


def _halves(features: LabelledFeatures, seed: int) -> tuple[LabelledFeatures, LabelledFeatures]:
    split = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=seed)
    first, second = next(split.split(features.features, groups=features.patients))
    return features[first], features[second]


def _refuse_missing_groups(expected: np.ndarray, fitted: np.ndarray, on: str) -> None:
    missing = sorted(set(np.unique(expected).tolist()) - set(np.unique(fitted).tolist()))
    if missing:
        where = "training" if on == Split.TRAIN else "half of the validation's patients, on which C is chosen,"
        raise ConfigurationError(
            f"the last layer cannot be trained anew: {where} has no slice of the groups {missing} that training has; "
            "join the attributes' values (data::attribute_bins), or choose --dfr_on train"
        )


def _fit(features: LabelledFeatures, inverse_penalty: float, seed: int) -> LogisticRegression:
    chosen = features[SubsampledStrata(features.groups, seed).chosen]
    model = LogisticRegression(C=inverse_penalty, l1_ratio=1, solver="liblinear", random_state=seed)
    with warnings.catch_warnings():
        # liblinear's default of 100 iterations, as the authors have it; the mean of many fits evens it out
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(chosen.features, chosen.groups % 2)


def _worst_accuracy(model: LogisticRegression, features: LabelledFeatures) -> float:
    predicted = model.predict(features.features).astype(float)
    return worst_group_accuracy((features.groups % 2).astype(float), predicted, features.groups)
