# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Grad-CAM of a run: which slices, which layer, pictures and measures."""
