# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Griffe extension: makes Markdown of docstrings that were written for readers of code, for the API reference."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

# From a prompt to the blank line after it, or to the end. Markdown would take the prompts for quotes.
_DOCTEST = re.compile(r"^(?P<indent> *)>>> .*?(?=\n *\n|\Z)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(```.*?```|`[^`]*`)", re.DOTALL)
# A power, as in (2w-1)**2. Markdown would take two of them for bold text.
_POWER = re.compile(r"(?<=[\w)\]])\*\*(?=[\w(])")


class MarkdownDocstrings(Extension):
    """Puts doctests into fenced blocks, and escapes powers."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Rewrites the docstring of a module, class or function before it is parsed."""
        if obj.docstring:
            text = _DOCTEST.sub(r"\g<indent>```pycon\n\g<0>\n\g<indent>```", obj.docstring.value)
            parts = _CODE.split(text)
            parts[::2] = [_POWER.sub(r"\\*\\*", part) for part in parts[::2]]
            obj.docstring.value = "".join(parts)
