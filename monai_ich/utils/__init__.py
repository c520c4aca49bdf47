# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 1: names, checks, error messages and provenance, used by every room above."""
