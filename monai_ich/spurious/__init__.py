# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The benchmark of spurious correlation: dials x methods x nuisances on the phantom, built on the table's machinery."""
