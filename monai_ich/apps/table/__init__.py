# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The paper's Table 1: planned, trained, computed and written."""
