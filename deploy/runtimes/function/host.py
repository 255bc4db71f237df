"""Runs the function in a folder: what one instance of the `python` runtime runs.

    python -P host.py FOLDER [--entry MODULE[:NAME]] [--bind 0.0.0.0] [--packages DIR] [--hide NAME,NAME --root DIR]

listens on `PORT`. Run by path, either as a process of its own (an image made by `pilotlight build`; a function that
cannot be forked) or inside the fork server (`zygote.py`), which calls `load` once and `serve` in every instance. The
shapes it knows, in the order in which it looks, are listed in docs/functions.md.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = "_pilotlight"  # what this folder is called inside a function's process


def beside(name: str) -> ModuleType:
    """A module of this folder under its private name, so that it shadows nothing of the function's."""
    if PACKAGE not in sys.modules:
        package = ModuleType(PACKAGE)
        package.__path__ = [str(HERE)]
        sys.modules[PACKAGE] = package
    return importlib.import_module(f"{PACKAGE}.{name}")


@dataclass(frozen=True)
class Options:
    """How to run one folder; the command line above."""

    folder: str
    entry: str = ""
    bind: str = "0.0.0.0"
    packages: str = ""  # where `httptools` is, should the function's own environment lack it
    hide: tuple[str, ...] = ()  # top-level packages of the platform, invisible below `root`
    root: str = ""

    @classmethod
    def parse(cls, argv: Sequence[str]) -> tuple[Options, list[str]]:
        parser = argparse.ArgumentParser(prog="host.py")
        parser.add_argument("folder")
        for name in ("--entry", "--bind", "--packages", "--hide", "--root"):
            parser.add_argument(name, default="")
        given, rest = parser.parse_known_args(argv)
        hide = tuple(filter(None, given.hide.split(",")))
        bind = given.bind or cls.bind
        return cls(given.folder, given.entry, bind, given.packages, hide, given.root), rest


class PlatformHidden:
    """A finder before all others: a name of the platform's is looked for everywhere but where the platform is."""

    def __init__(self, names: Sequence[str], root: str) -> None:
        self._names, self._root = frozenset(names), os.path.realpath(root)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if path is not None or name not in self._names:
            return None
        elsewhere = [entry for entry in sys.path if os.path.realpath(entry) != self._root]
        spec = PathFinder.find_spec(name, elsewhere)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


def prepare(options: Options) -> None:
    """Makes this process fit to import the function: the server first, then the paths."""
    try:
        importlib.import_module("httptools")
    except ImportError:
        if not options.packages:
            raise
        _load_package("httptools", options.packages)
    for name in ("complaints", "discovery", "shapes", "knative_func", "events", "exchange", "server", "websocket"):
        beside(name)
    here = str(HERE)
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != here]
    source = os.path.join(options.folder, "src")
    sys.path[:0] = [options.folder, *([source] if os.path.isdir(source) else [])]
    if options.hide:
        sys.meta_path.insert(0, PlatformHidden(options.hide, options.root))
    sys.argv[:] = [options.folder]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # what is printed is in the log at once


def _load_package(name: str, folder: str) -> None:
    spec = PathFinder.find_spec(name, [folder])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r} in {folder}", name=name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])


def load(options: Options) -> Any:
    """Imports the function; whatever its modules raise comes out here, and `discovery.NoFunction`."""
    return beside("discovery").load(Path(options.folder), options.entry)


def serve(
    function: Any, bind: str, loop: asyncio.AbstractEventLoop, listening: Callable[[], object] | None = None
) -> int:
    """Runs the function until it is told to stop; the exit code. `listening` is called once it answers."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(function, bind, listening or (lambda: None)))
    finally:
        loop.close()


async def _serve(function: Any, bind: str, listening: Callable[[], object]) -> int:
    server = beside("server")
    upgrade = beside("websocket").WebSocket if function.websockets else None
    listener = listen(bind, int(os.environ.get("PORT", "8080")))
    try:
        await server.Server(function.make(), upgrade).serve(listener, listening)
    except server.StartupFailed:
        return 3
    return 0


def listen(bind: str, port: int) -> socket.socket:
    """A bound socket: who connects before the function has started is refused, and so not taken for ready."""
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((bind, port))
    listener.setblocking(False)
    return listener


def main() -> int:
    options, _ = Options.parse(sys.argv[1:])
    options = Options(**{**vars(options), "folder": os.path.abspath(options.folder)})
    prepare(options)
    try:
        return serve(load(options), options.bind, asyncio.SelectorEventLoop())
    except Exception as error:
        beside("complaints").complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
