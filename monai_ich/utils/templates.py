# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Text from Jinja templates, which lie beside the code that fills them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

# In LaTeX braces and percent signs are part of the text, so templates of that kind have other marks.
_LATEX_MARKS: dict[str, Any] = {
    "variable_start_string": "<<",
    "variable_end_string": ">>",
    "block_start_string": "<%",
    "block_end_string": "%>",
    "comment_start_string": "<#",
    "comment_end_string": "#>",
}
_LATEX_SPECIAL = {character: f"\\{character}" for character in "&%_#${}"}
_LATEX_SPECIAL |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def render(template: Path, **values: Any) -> str:
    """Fills a template.

    What a `.html.jinja` file prints is escaped for HTML; a `.tex.jinja` file has the marks `<< >>` and `<% %>` in place
    of `{{ }}` and `{% %}`. Every template has the filter `latex`, which escapes a text for LaTeX.

    Args:
        template: the file, `Path(__file__).with_name("page.html.jinja")` for instance.
        values: the names that the template uses.

    Raises:
        jinja2.UndefinedError: the template uses a name that `values` does not have.
    """
    environment = _environment(template.parent, template.name.endswith(".tex.jinja"))
    return environment.get_template(template.name).render(values)


def latex_text(text: str) -> str:
    r"""A text as LaTeX prints it, also behind a command that would take its first bracket for an option.

    >>> print(latex_text("ours_a & 5 %"), latex_text("[1] x"))
    ours\_a \& 5 \% {[}1] x
    """
    escaped = re.sub("|".join(map(re.escape, _LATEX_SPECIAL)), lambda found: _LATEX_SPECIAL[found.group()], text)
    return f"{{[}}{escaped[1:]}" if escaped.startswith("[") else escaped


@functools.cache
def _environment(folder: Path, latex: bool) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **(_LATEX_MARKS if latex else {}),
    )
    environment.filters["latex"] = latex_text
    return environment
