"""The rules of the house that a machine can check: layers, purity, sizes, mirrored tests, confined clients.

When one of these bites, the design wants another look; there are no exemptions to add a name to.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("core", "activator", "autoscaler", "eventing", "scalers", "deploy", "pilotlight")

# Each may import itself and what stands to its right of the arrow; siblings never import each other.
LAYERS = {
    "core": set(),
    "scalers": {"core"},
    "activator": {"core", "scalers"},
    "autoscaler": {"core", "scalers"},
    "eventing": {"core", "scalers"},
    "deploy": {"core", "scalers"},
    "pilotlight": {"core", "scalers", "activator", "autoscaler", "eventing", "deploy"},
}
FLOOR = {"clock", "errors", "inside", "multimap", "settings", "stats", "tasks", "telemetry"}
CORE_LAYERS = {
    **dict.fromkeys(FLOOR, FLOOR),
    "resources": FLOOR,
    "store": FLOOR | {"resources"},
    "clients": FLOOR | {"resources"},
    "reconcile": FLOOR | {"resources", "store", "clients"},
    "apiserver": FLOOR | {"resources", "store", "clients"},
}
# A function's process imports nothing of ours: these files are run by path, on the standard library and `httptools`.
FUNCTION_HOST = "deploy/runtimes/function/"
# The spawner is a process of its own without site-packages, a loop with a clock of its own: it has these and no more.
SPAWNER = tuple(
    f"deploy/runtimes/{name}.py"
    for name in ("spawner", "forking", "parked", "instance", "cgroups", "kernel", "logfile")
)
CLIENT_LIBRARIES = {
    "aiohttp", "aiodocker", "aiomysql", "bson", "grpc", "httpx", "kafka", "kubernetes", "kubernetes_asyncio", "pika",
    "psycopg", "pymongo", "pymysql", "redis", "requests",
}  # fmt: skip
MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "tools"}
IMPURE = {
    "aiofiles", "asyncio", "logging", "os", "random", "secrets", "shutil", "socket", "sqlite3", "ssl", "structlog",
    "subprocess", "tempfile", "threading", "time", "urllib.request", "uuid",
}  # fmt: skip
FILE_LINES, FUNCTION_LINES, CLASS_LINES, CLASS_METHODS, PARAMETERS = 600, 70, 300, 20, 6


def modules() -> list[Path]:
    return sorted(
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts
    )


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that the file imports, at any depth and for types only too, as a dotted name."""
    known = {dotted(other) for other in modules()}
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: imports are absolute here"
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                found.add(full if full in known else base)
    return frozenset(found)


def pure_modules() -> list[Path]:
    """The files that docs/ARCHITECTURE.md marks with ≈."""
    return [ROOT / name for name, pure in documented_modules() if pure]


def documented_modules() -> Iterator[tuple[str, bool]]:
    """(path, marked pure) of every file in the tree of docs/ARCHITECTURE.md."""
    text = (ROOT / "docs/ARCHITECTURE.md").read_text()
    for line in text.splitlines():
        if match := re.match(r"^\| `([\w/]+\.py)` ?(≈?)\s*\|", line):
            yield match[1], bool(match[2])


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_layers(path: Path) -> None:
    package, *rest = path.relative_to(ROOT).with_suffix("").parts
    for name in imports(path):
        target, *inner = name.split(".")
        if target not in PACKAGES:
            continue
        if target != package:
            assert target in LAYERS[package], f"{relative(path)} may not import {name}: {package} stands below {target}"
        elif package == "core" and rest[0] != "__init__" and inner:
            allowed = CORE_LAYERS[rest[0]] | {rest[0]}
            assert inner[0] in allowed, f"{relative(path)} may not import {name}: core/{rest[0]} stands below it"


def test_no_import_cycles() -> None:
    graph = {dotted(path): {name for name in imports(path) if name.split(".")[0] in PACKAGES} for path in modules()}
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            raise AssertionError("import cycle: " + " → ".join([*trail[trail.index(name) :], name]))
        if name in done or name not in graph:
            return
        for target in sorted(graph[name] - {name}):
            visit(target, [*trail, name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_sizes(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= FILE_LINES, f"{relative(path)} has {lines} lines: split it by noun"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = body_lines(node)
            assert length <= FUNCTION_LINES, f"{relative(path)}: {node.name} has {length} lines"
            arguments = [a.arg for a in [*node.args.posonlyargs, *node.args.args] if a.arg not in ("self", "cls")]
            count = len(arguments) + len(node.args.kwonlyargs)
            if "typer.Context" not in ast.unparse(node.args):  # a command's parameters are its options' declaration
                assert count <= PARAMETERS, f"{relative(path)}: {node.name} takes {count} parameters: use a dataclass"
        elif isinstance(node, ast.ClassDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            methods = [n for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert length <= CLASS_LINES, f"{relative(path)}: class {node.name} has {length} lines"
            assert len(methods) <= CLASS_METHODS, f"{relative(path)}: class {node.name} has {len(methods)} methods"


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the function without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_every_module_opens_with_a_docstring_and_has_a_meaningful_name(path: Path) -> None:
    assert ast.get_docstring(tree(path)), f"{relative(path)} does not say what it is"
    assert path.stem not in MEANINGLESS, f"{relative(path)}: name the thing"


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_clients_clock_and_tasks_stay_where_they_belong(path: Path) -> None:
    name = relative(path)
    if not name.startswith("core/clients/"):
        strangers = {module.split(".")[0] for module in imports(path)} & CLIENT_LIBRARIES
        assert not strangers, f"{name} imports {', '.join(strangers)}: only core/clients may"
    if name.startswith(FUNCTION_HOST):
        own = {module for module in imports(path) if module.split(".")[0] in PACKAGES}
        assert not own, f"{name} is run inside a function's process and may not import {own}"
        return
    if name in SPAWNER:
        roots = {module.split(".")[0] for module in imports(path) if module.replace(".", "/") + ".py" not in SPAWNER}
        strangers = roots - sys.stdlib_module_names - {"deploy"}
        assert not strangers, f"{name} runs without site-packages and may not import {strangers}"
        return
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        where = f"{name}:{node.lineno}"
        if name != "core/clock.py":
            assert call not in ("time.time", "time.monotonic"), f"{where}: take a Clock or a `now`"
        if name != "core/tasks.py":
            bare = call in ("asyncio.create_task", "asyncio.ensure_future") or call.endswith("loop.create_task")
            assert not bare, f"{where}: tasks belong to a group"


@pytest.mark.parametrize("path", pure_modules(), ids=relative)
def test_pure_modules_do_no_io_and_read_no_clock(path: Path) -> None:
    impure = {module for module in imports(path) if module in IMPURE or module.split(".")[0] in IMPURE - {"urllib"}}
    assert not impure, f"{relative(path)} is marked ≈ and imports {', '.join(sorted(impure))}"
    for node in ast.walk(tree(path)):
        kind = isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        opened = isinstance(node, ast.Call) and ast.unparse(node.func) in ("open", "print", "datetime.now")
        impure_here = kind or opened
        assert not impure_here, f"{relative(path)}:{getattr(node, 'lineno', 0)} is marked ≈"


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_every_module_has_its_tests(path: Path) -> None:
    """`tests/a/b/test_c.py` for `a/b/c.py`, or a test file of the same folder that imports it."""
    if path.stem in ("__init__", "__main__") or only_declares(path):
        return
    folder = ROOT / "tests" / path.relative_to(ROOT).parent
    if (folder / f"test_{path.stem}.py").exists():
        return
    name = dotted(path)
    parent, _, leaf = name.rpartition(".")
    names = (rf"\b{re.escape(name)}\b", rf"from {re.escape(parent)} import [^\n]*\b{leaf}\b", re.escape(relative(path)))
    spelled = re.compile("|".join(names))
    integration = ROOT / "tests/integration"
    candidates = [*folder.rglob("test_*.py"), *folder.parent.glob("test_*.py"), *integration.glob("*.py")]
    assert any(spelled.search(test.read_text()) for test in candidates), f"{relative(path)} has no test"


def only_declares(path: Path) -> bool:
    """Whether the file holds no behavior of its own: types, constants and interfaces without bodies."""
    functions = [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return all(body_lines(node) <= 1 for node in functions if node.name != "__init__")


def test_the_architecture_page_names_every_module_and_no_other() -> None:
    documented = {name for name, _ in documented_modules()}
    present = {relative(path) for path in modules() if path.stem != "__init__"}
    assert documented == present, (
        f"docs/ARCHITECTURE.md: missing {sorted(present - documented)}, stale {sorted(documented - present)}"
    )
