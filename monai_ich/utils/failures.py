# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Shows a failure that is the user's to mend as its message alone."""

from __future__ import annotations

from monai_ich.utils.console import console
from monai_ich.utils.errors import MonaiIchError


def show_failure(error: BaseException) -> bool:
    """Prints the message of the first error of ours, or interruption, among an error and what led to it.

    MONAI wraps whatever a config's part raises in errors of its own, so the one that says what to do is further down. A
    file that cannot be read or written, and that this led to directly, is named as well.

    Returns:
        False when there is none; nothing is printed then.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MonaiIchError):
            _show(type(cause).__name__, str(cause))
            return True
        if isinstance(cause, KeyboardInterrupt):
            console.print("\nInterrupted.")
            return True
        cause = cause.__cause__ or cause.__context__
    cause = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.filename is not None:
            _show(type(cause).__name__, f"{cause.filename}: {cause.strerror}. Correct the path or its permissions.")
            return True
        cause = cause.__cause__  # what was merely handled before is not the reason
    return False


def _show(kind: str, message: str) -> None:
    console.print(f"\n[bold red]{kind}[/]: ", end="")
    console.print(message, markup=False, soft_wrap=True)
