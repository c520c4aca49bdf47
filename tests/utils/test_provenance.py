# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is recorded of the installed packages."""

from __future__ import annotations

import monai
import pytest

from monai_ich.utils import provenance
from monai_ich.utils.provenance import installed_versions, package_versions


def test_only_installed_packages_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_versions(["monai", "no-such-package"]) == {"monai": monai.__version__}
    assert package_versions().keys() == set(provenance.RECORDED_PACKAGES)
    monkeypatch.setattr(provenance, "RECORDED_PACKAGES", ("no-such-package", "monai"))
    assert package_versions() == {"monai": monai.__version__}
