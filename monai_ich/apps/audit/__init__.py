# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The audit of a manifest: each check, the report, and what training asks of it."""
