"""Which function a folder holds, and of what shape: import it, look at its names and signatures.

`host.py` calls `load` once per process (in a fork server: once per template). The order in which it looks, and every
shape, are listed in docs/functions.md.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

MODULES = ("func", "main", "app", "function", "handler", "asgi", "wsgi")
NAMES = ("app", "application", "new", "handle")
FRAMEWORK = "functions_framework"
FRAMEWORK_DECORATORS = ("http", "cloud_event", "typed")


def _beside(name: str) -> ModuleType:
    """Another module of this folder, under whatever name the folder goes in this process."""
    return importlib.import_module(f"{__package__}.{name}")


class NoFunction(Exception):
    """The folder holds nothing that can be called; the message says what was looked for."""


@dataclass(frozen=True)
class Function:
    """A function that has been imported. `make` runs in the instance, after the fork."""

    shape: str
    make: Callable[[], Any]
    websockets: bool = False


def load(folder: Path, entry: str) -> Function:
    """Imports the function. NoFunction, or whatever the function's module raises."""
    framework = find_framework(folder, entry)
    if framework is not None:
        return _load_framework(*framework)
    module_name, _, name = entry.partition(":")
    module = _import_entry(folder, module_name)
    if name:
        target: Any = module
        for part in name.split("."):
            target = getattr(target, part)
    else:
        own = (folder / "function").is_dir() and module.__name__.partition(".")[0] == "function"
        order = ("new", "handle", "app", "application") if own else NAMES
        name = next((candidate for candidate in order if hasattr(module, candidate)), "")
        if not name:
            raise NoFunction(
                f"{module.__name__} ({getattr(module, '__file__', '?')}) defines none of {', '.join(NAMES)}; "
                "define one, or name yours in the container's args as MODULE:NAME"
            )
        target = getattr(module, name)
    return describe(folder, name, target)


# --- finding


def _import_entry(folder: Path, name: str) -> ModuleType:
    if name:
        return importlib.import_module(name)
    if (folder / "function").is_dir():
        module = importlib.import_module("function")
        exported = any(hasattr(module, candidate) for candidate in NAMES)
        return (
            module
            if exported or not (folder / "function/func.py").exists()
            else importlib.import_module("function.func")
        )
    present = [stem for stem in MODULES if (folder / f"{stem}.py").is_file()]
    single = sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("setup", "conftest"))
    if not present and len(single) == 1:
        present = single
    if not present:
        looked = ", ".join(f"{stem}.py" for stem in MODULES)
        raise NoFunction(f"{folder} holds no function: looked for function/, {looked}; found {single or 'no .py file'}")
    defining = [stem for stem in present if _defines(folder / f"{stem}.py")]
    return importlib.import_module((defining or present)[0])


def _defines(path: Path) -> bool:
    """Whether the file binds one of the known names at its top level."""
    for node in parse(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name in NAMES:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id in NAMES for target in targets):
            return True
        if isinstance(node, ast.Import | ast.ImportFrom) and any((a.asname or a.name) in NAMES for a in node.names):
            return True
    return False


def parse(path: Path) -> ast.Module:
    """The file's syntax; an empty module where it has none (the import will say so, with its traceback)."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return ast.Module(body=[], type_ignores=[])


# --- Functions Framework


def find_framework(folder: Path, entry: str) -> tuple[Path, str] | None:
    """(source file, target) where the folder is written for Functions Framework; the package itself is not imported."""
    module, _, name = entry.partition(":")
    source = os.environ.get("FUNCTION_SOURCE") or (f"{module.replace('.', '/')}.py" if module else "")
    target = name or os.environ.get("FUNCTION_TARGET", "")
    paths = [folder / source] if source else [folder / "main.py", *sorted(folder.glob("*.py"))]
    for path in paths:
        decorated = decorated_functions(parse(path))
        if target and path.is_file() and (decorated or (not name and not entry)):
            return path, target
        if len(decorated) == 1:
            return path, decorated[0]
        if decorated:
            raise NoFunction(f"{path.name} decorates {', '.join(decorated)}: choose one with FUNCTION_TARGET")
    return None


def decorated_functions(module: ast.Module) -> list[str]:
    """The functions under `http`, `cloud_event` or `typed` of functions_framework's, at the top level."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names.update(a.asname or FRAMEWORK for a in node.names if a.name.split(".")[0] == FRAMEWORK)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == FRAMEWORK:
            names.update(a.asname or a.name for a in node.names if a.name in ("aio", *FRAMEWORK_DECORATORS))
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = []
    for function in functions:
        for decorator in function.decorator_list:
            dotted = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator).split(".")
            if dotted[0] in names and (len(dotted) == 1 or dotted[-1] in FRAMEWORK_DECORATORS):
                found.append(function.name)
                break
    return found


def _load_framework(source: Path, target: str) -> Function:
    framework = importlib.import_module(FRAMEWORK)
    application = framework.create_app(target, str(source), os.environ.get("FUNCTION_SIGNATURE_TYPE"))
    asgi = is_asgi(application)
    app = application if asgi else _beside("shapes").wsgi_app(application)
    return Function("functions-framework", lambda: app, websockets=False)


# --- shapes


def describe(folder: Path, name: str, target: Any) -> Function:
    if name == "new":
        return Function("func", lambda: _instance_app(folder, target()))
    if not callable(target):
        raise NoFunction(f"{name} is a {type(target).__name__}, expected something callable")
    count = len(positional(target))
    if name == "handle":
        if count >= 3:
            _log_by_default()
            func = _beside("knative_func")
            return Function("func", lambda: func.FuncApp(Bare(target), takes_events(folder, target)))
        app = _handler_app(target)
        return Function("handle", lambda: app)
    if is_asgi(target):
        return Function("asgi", lambda: target, websockets=True)
    if count == 2:
        app = _beside("shapes").wsgi_app(target)
        return Function("wsgi", lambda: app)
    if count <= 1:
        app = _handler_app(target)
        return Function("handle", lambda: app)
    raise NoFunction(f"{name} takes {count} parameters: expected ASGI (3), WSGI (2), or one request or event")


class Bare:
    """A `handle(scope, receive, send)` without `start`, `stop`, `alive` or `ready`."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle


def _instance_app(folder: Path, instance: Any) -> Any:
    func = _beside("knative_func")
    _log_by_default()
    if not hasattr(instance, "handle"):
        raise NoFunction("what new() returned has no method 'handle'")
    if len(positional(instance.handle)) >= 3:
        return func.FuncApp(instance, takes_events(folder, instance.handle))
    app = _handler_app(instance.handle)

    class Adapter:
        """The instance's hooks around a handle(request) or handle(event)."""

        handle = staticmethod(app)

        def __getattr__(self, name: str) -> Any:
            return getattr(instance, name)

    return func.FuncApp(Adapter(), False)


def _handler_app(handler: Any) -> Any:
    _log_by_default()
    shapes, events = _beside("shapes"), _beside("events")
    parameters = positional(handler)
    if len(parameters) > 1:
        raise NoFunction("handle takes one parameter (a request or an event), or ASGI's three")
    parameter = parameters[0] if parameters else None
    if parameter is not None and wants_event(parameter):
        return shapes.event_app(handler, events.maker(parameter.annotation), events)
    return shapes.request_app(handler, parameter)


def wants_event(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return parameter.name in _beside("shapes").EVENT_NAMES
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.rpartition(".")[2] == "CloudEvent"


def takes_events(folder: Path, handle: Any) -> bool:
    """Knative func writes `invoke: cloudevent` into func.yaml; without that file, code that reads scope["event"]."""
    manifest = folder / "func.yaml"
    if manifest.is_file():
        return bool(re.search(r"^\s*(invoke|format):\s*['\"]?cloudevent", manifest.read_text(), re.MULTILINE))
    code = getattr(handle, "__code__", None)
    return isinstance(code, CodeType) and "event" in code.co_consts


def positional(function: Any) -> list[inspect.Parameter]:
    """The parameters that a call without keywords fills; annotations that are strings are resolved where they can."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    empty = inspect.Parameter.empty
    return [p for p in signature.parameters.values() if p.kind in kinds and p.default is empty]


def is_asgi(target: Any) -> bool:
    # Not whether it can be called (B004): whether what is called is a coroutine function.
    return len(positional(target)) == 3 or inspect.iscoroutinefunction(getattr(target, "__call__", None))  # noqa: B004


def _log_by_default() -> None:
    """`logging.info` reaches the log, as under func-python, unless the function has set up its own."""
    if not logging.root.handlers:
        logging.basicConfig(level=logging.INFO)
