# SPDX-License-Identifier: Apache-2.0
"""Failures that a user sees as one line; `kind` is the protocol's (docs/torch-worker.md)."""

import os
import traceback

_LIMIT = 400


def one_line(text, limit=_LIMIT):
    """Any text as a single line of bounded length."""
    line = " ".join(str(text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


class KernelwrightError(Exception):
    kind = "internal"

    def __init__(self, message, **context):
        self.message = one_line(message).rstrip(".")
        self.context = {key: one_line(value) for key, value in context.items()}
        super().__init__(self.message)

    def __str__(self):
        details = ", ".join(f"{key}: {value}" for key, value in self.context.items())
        return f"{self.message} ({details})" if details else self.message

    def as_dict(self):
        return {"kind": self.kind, "message": self.message, "context": self.context}


class InputError(KernelwrightError):
    """The user's file, arguments or data are off."""

    kind = "input"


class EnvironmentError_(KernelwrightError):
    """Something is missing around us: no PyTorch, a full disk, no compiler."""

    kind = "environment"


def place_of(error, prefer_file=None):
    """`file.py:12` of the innermost frame inside `prefer_file`, else of the innermost frame."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return None
    own = [f for f in frames if prefer_file and f.filename == str(prefer_file)]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"


def last_line(error):
    """`ValueError: what`, as Python prints an error's last line, made a single line."""
    return one_line(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def user_error(what, error, source_file=None):
    """An InputError for a Python error raised by the user's code."""
    place = place_of(error, source_file)
    # A call of ours says nothing to the user.
    if place and os.path.dirname(place.rpartition(":")[0]) == os.path.dirname(os.path.abspath(__file__)):
        place = None
    return InputError(f"{what}: {last_line(error)}", **({"at": place} if place else {}))
