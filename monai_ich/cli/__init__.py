# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The commands, one function each: parse, call one function of a room, print."""
