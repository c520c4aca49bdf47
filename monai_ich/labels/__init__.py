# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Floor 3: tables of labels as people keep them, CSV or xlsx, and the images that their rows name."""
