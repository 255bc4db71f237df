"""An exception as the author of the function should read it: their frames, without those of this host and the importer.

Used wherever something is printed about a function: its import, its hooks, its requests.
"""

from __future__ import annotations

import os
import sys
import traceback
from itertools import dropwhile

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
LIBRARY = os.path.dirname(os.__file__) + os.sep
IMPORTER = ("<frozen ", os.path.join("importlib", "__init__.py"))


def complaint(error: BaseException) -> str:
    """The traceback; of an exception that this host raised (there is no function, say) its sentence alone."""
    if type(error).__module__.startswith(f"{__package__}."):
        return f"{error}\n"
    told = traceback.TracebackException.from_exception(error)
    _trim(told)
    return "".join(told.format())


def complain(error: BaseException) -> None:
    """On stderr, where the log is."""
    sys.stderr.write(complaint(error))
    sys.stderr.flush()


def _trim(told: traceback.TracebackException) -> None:
    stack = told.stack
    kept = [frame for frame in stack if not _is_ours(frame.filename)]
    stack[:] = list(dropwhile(_is_library, kept)) or kept  # the pool that a handler runs on is between us and it
    if not stack:
        told.stack = None  # type: ignore[assignment]  # then its heading is left out, too
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _trim(other)


def _is_library(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(LIBRARY) and "site-packages" not in frame.filename


def _is_ours(filename: str) -> bool:
    return filename.startswith((HERE, IMPORTER[0])) or filename.endswith(IMPORTER[1])
