# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 5: the commands, one function each: parse, call one function of apps/, print."""
