# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Last-layer retraining: the folded layer is scikit-learn's mean of fits, and forgets what balanced groups refute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from monai_ich.bundle import LastLayerRetraining
from monai_ich.bundle.last_layer import FITS, INVERSE_PENALTIES, LabelledFeatures, last_layer, refit_layer
from monai_ich.data import SubsampledStrata
from monai_ich.networks import ClassificationHead, MultiTaskNet
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import Split


def _features(slices: int, seed: int, minority: float = 0.05) -> LabelledFeatures:
    """16 features far from 0, of which the first says the marker weakly, and the second the attribute clearly."""
    generator = np.random.default_rng(seed)
    label = generator.integers(2, size=slices)
    attribute = np.where(generator.random(slices) < minority, 1 - label, label)
    features = generator.normal(size=(slices, 16))
    features[:, 0] += 2 * label
    features[:, 1] += 6 * attribute
    scale = np.linspace(0.3, 3, 16)
    return LabelledFeatures(2 + scale * features, 2 * attribute + label, np.arange(slices) // 4)


TRAIN, VAL = _features(2000, 0), _features(1000, 1)


@pytest.mark.parametrize("on", ["val", "train"])
def test_the_layer_is_the_mean_of_scikit_learn_s_fits_on_standardised_features(on: str) -> None:
    layer = refit_layer(TRAIN, VAL, on, seed=5)
    fitted = VAL if on == "val" else TRAIN
    scaler = StandardScaler().fit(TRAIN.features)
    coefficients, intercepts = [], []
    for number in range({"val": 20, "train": 10}[on]):
        rows = SubsampledStrata(fitted.groups, 5 + 1 + number).chosen
        assert len(set(np.bincount(fitted.groups[rows]).tolist())) == 1, "groups of the same size"
        model = LogisticRegression(C=layer.inverse_penalty, l1_ratio=1, solver="liblinear", random_state=6 + number)
        model.fit(scaler.transform(fitted.features[rows]), fitted.groups[rows] % 2)
        coefficients.append(model.coef_[0])
        intercepts.append(model.intercept_[0])
    expected = scaler.transform(VAL.features) @ np.mean(coefficients, axis=0) + np.mean(intercepts)
    np.testing.assert_allclose(VAL.features @ layer.weight + layer.bias, expected, atol=1e-9)
    assert layer.inverse_penalty in INVERSE_PENALTIES
    assert FITS[Split(on)] == len(coefficients)


def test_the_penalty_is_the_lasso() -> None:
    """With a strong penalty most coefficients are exactly 0, which a ridge never gives."""
    scaled = StandardScaler().fit_transform(TRAIN.features)
    model = LogisticRegression(C=0.01, l1_ratio=1, solver="liblinear").fit(scaled, TRAIN.groups % 2)
    assert (model.coef_ == 0).sum() > 8


@pytest.mark.parametrize("on", ["val", "train"])
def test_what_only_goes_with_the_marker_loses_its_weight(on: str) -> None:
    layer = refit_layer(TRAIN, VAL, on)
    plain = LogisticRegression(C=1).fit(StandardScaler().fit_transform(TRAIN.features), TRAIN.groups % 2).coef_[0]
    spread = TRAIN.features.std(axis=0)
    refitted = layer.weight * spread
    assert plain[1] > plain[0], "the ordinary fit goes by the attribute"
    assert abs(refitted[1]) < 0.2 * refitted[0]


def test_c_is_chosen_by_the_worst_group_of_patients_that_were_not_fitted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from monai_ich.bundle import last_layer as module

    seen: list[tuple[set[int], set[int]]] = []
    fit, worst = module._fit, module._worst_accuracy

    def noted_fit(features: LabelledFeatures, c: float, seed: int) -> LogisticRegression:
        model = fit(features, c, seed)
        model.patients = set(features.patients.tolist())
        return model

    def noted_worst(model: LogisticRegression, features: LabelledFeatures) -> float:
        seen.append((model.patients, set(features.patients.tolist())))
        return 1.0 if model.C == 0.3 else 0.5 * worst(model, features)

    monkeypatch.setattr(module, "_fit", noted_fit)
    monkeypatch.setattr(module, "_worst_accuracy", noted_worst)
    assert refit_layer(TRAIN, VAL, "val").inverse_penalty == 0.3
    assert len(seen) == len(INVERSE_PENALTIES)
    assert all(not fitted & tested for fitted, tested in seen)
    assert all(len(fitted) == len(tested) == 125 for fitted, tested in seen)


def test_a_missing_group_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"no slice of the groups \[2\].*choose --dfr_on train"):
        refit_layer(TRAIN, VAL[VAL.groups != 2], "val")


class _Encoder(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x.reshape(len(x), 16, 1, 1)]


@pytest.mark.parametrize("standardise", [False, True])
def test_the_network_computes_the_layer(standardise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = MultiTaskNet(_Encoder(), {"cls": ClassificationHead(16, 2, standardise)})
    if standardise:
        network(torch.from_numpy(TRAIN.features).float().reshape(-1, 1, 4, 4))  # running statistics
    network.eval()
    images = torch.from_numpy(VAL.features).float().reshape(-1, 1, 4, 4)
    seen: list[torch.Tensor] = []
    last_layer(network).register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].double()))
    network(images)
    inputs = seen[0].numpy()
    retraining = LastLayerRetraining.__new__(LastLayerRetraining)
    retraining.network, retraining.on, retraining.seed = network, "val", 0
    val = LabelledFeatures(inputs, VAL.groups, VAL.patients)
    monkeypatch.setattr(retraining, "features", lambda split: val, raising=False)
    layer = retraining.run()
    logits = network(images)["cls"].detach().double().numpy()
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], inputs @ layer.weight + layer.bias, rtol=0, atol=1e-5)
