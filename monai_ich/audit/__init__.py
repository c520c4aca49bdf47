# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: the audit of a manifest: what makes a data set's results wrong."""

from monai_ich.audit.training_gate import refuse_findings

__all__ = ["refuse_findings"]
