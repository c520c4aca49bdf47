# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Templates: what is escaped where, and that a forgotten value is an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from monai_ich.utils.templates import latex_text, render


def template(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_only_html_templates_escape_for_html(tmp_path: Path) -> None:
    for name, expected in (("page.html.jinja", "&lt;b&gt; &amp;\n"), ("page.md.jinja", "<b> &\n")):
        assert render(template(tmp_path, name, "{{ text }}\n"), text="<b> &") == expected


def test_a_value_that_is_not_given_is_an_error(tmp_path: Path) -> None:
    path = template(tmp_path, "page.md.jinja", "{% if hospitals %}counted{% endif %}")
    with pytest.raises(UndefinedError, match="hospitals"):
        render(path, hospital="A")


def test_latex_templates_have_marks_that_leave_braces_and_percent_alone(tmp_path: Path) -> None:
    path = template(
        tmp_path, "t.tex.jinja", "% note\n<% for n in names %>\n\\textbf{{<< n | latex >>}}\n<% endfor %>\n"
    )
    assert render(path, names=["a_b", "5 %"]) == "% note\n\\textbf{{a\\_b}}\n\\textbf{{5 \\%}}\n"


def test_each_special_character_of_latex_is_escaped_once() -> None:
    assert latex_text("\\{}&%_#$~^") == (r"\textbackslash{}\{\}\&\%\_\#\$\textasciitilde{}\textasciicircum{}")
