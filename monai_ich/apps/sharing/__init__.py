# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A run as a MONAI bundle that works without this package."""
