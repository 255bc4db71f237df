"""A function's folder as an image: hashed, and copied under its hash, so that a revision runs what it was resolved to.

The `python` runtime asks for a `Snapshot`; `pilotlight build` and `dev` may, too. The copy leaves out what no function
needs at run time (`IGNORED`, and the patterns in `.funcignore` or `.dockerignore`), and is never changed once it stands
under its name. Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.runtimes.base import StartError

SCHEME = "dir:"
DIGEST_MARK = "@sha256:"
BYTES_MAX = 512 << 20
FILES_MAX = 20_000
IGNORED = frozenset(
    {".git", ".hg", ".svn", "__pycache__", ".venv", "venv", ".tox", ".nox", "node_modules", ".mypy_cache"}
    | {".pytest_cache", ".ruff_cache", ".hypothesis", ".idea", ".vscode", ".DS_Store", ".func"}
)
IGNORE_FILES = (".funcignore", ".dockerignore")
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`image` is the immutable name: `dir:/path@sha256:…`; `folder` holds that content, for as long as it is kept."""

    image: str
    digest: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or symbolic link that belongs to the function."""

    name: str  # relative, with /
    path: str
    size: int
    stamp: tuple[int, int, int]  # inode, size, time of change: equal while nobody has written
    link: bool = False


class Folders:
    """The snapshots of one data folder, below `root`."""

    def __init__(self, root: Path, bytes_max: int = BYTES_MAX) -> None:
        self._root, self._bytes_max = root, bytes_max
        self._seen: dict[str, tuple[tuple[tuple[str, tuple[int, int, int]], ...], Snapshot]] = {}

    def snapshot(self, image: str) -> Snapshot:
        """Of `dir:/path` as it is now, or of `dir:/path@sha256:…` as it was then. StartError."""
        path, _, digest = image.removeprefix(SCHEME).partition(DIGEST_MARK)
        if digest:
            return self._kept(image, path, digest)
        folder = Path(path)
        if not folder.is_absolute():
            raise StartError("InvalidImageName", f'image "{image}": expected dir:/absolute/path')
        if not folder.is_dir():
            raise StartError("ErrImagePull", f'image "{image}": there is no folder {path} on this machine')
        try:
            entries = tuple(self._entries(folder, image))
            stamps = tuple((entry.name, entry.stamp) for entry in entries)
            seen = self._seen.get(path)
            if seen is not None and seen[0] == stamps and seen[1].folder.is_dir():
                os.utime(seen[1].folder)
                return seen[1]
            snapshot = self._copy(path, entries)
        except OSError as error:
            raise StartError("ErrImagePull", f'image "{image}": {error.strerror}: {error.filename}') from None
        self._seen[path] = (stamps, snapshot)
        return snapshot

    def collect(self, keep: frozenset[str], before: float) -> list[str]:
        """Removes snapshots that are not in `keep` (digests) and were last used before that time; their digests."""
        removed = []
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if folder.name not in keep and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder.name)
        return removed

    def _kept(self, image: str, path: str, digest: str) -> Snapshot:
        folder = self._root / digest
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise StartError("InvalidImageName", f'image "{image}": expected 64 hexadecimal digits after sha256:')
        if not folder.is_dir():
            now = self.snapshot(SCHEME + path)
            if now.digest != digest:
                raise StartError(
                    "ErrImagePull",
                    f'image "{image}": that content is no longer kept, and {path} has changed since; deploy it again',
                )
        os.utime(folder)
        return Snapshot(image, digest, folder)

    def _copy(self, path: str, entries: Sequence[Entry]) -> Snapshot:
        """Copies, and hashes what was copied, so that a write meanwhile cannot set the two apart."""
        self._root.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(prefix="tmp-", dir=self._root))
        try:
            copy.chmod(0o755)
            total = hashlib.sha256()
            for entry in entries:
                target = copy / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                mode, content = ("link", _copy_link(entry, target)) if entry.link else _copy_file(entry, target)
                total.update(f"{mode} {len(entry.name.encode())} {entry.name} {content}\n".encode())
            digest = total.hexdigest()
            with contextlib.suppress(OSError):  # it is there already
                copy.rename(self._root / digest)
            os.utime(self._root / digest)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
        return Snapshot(f"{SCHEME}{path}{DIGEST_MARK}{digest}", digest, self._root / digest)

    def _entries(self, folder: Path, image: str) -> Iterator[Entry]:
        """In order of name. StartError where it is too much."""
        rules = parse_ignore(
            next((p.read_text() for name in IGNORE_FILES if (p := folder / name).is_file()), "").splitlines()
        )
        count = size = 0
        for entry in _walk(folder, "", rules, (os.path.realpath(folder),)):
            count, size = count + 1, size + entry.size
            if count > FILES_MAX or size > self._bytes_max:
                raise StartError(
                    "ErrImagePull",
                    f'image "{image}": more than {FILES_MAX} files or {self._bytes_max >> 20} MiB; list what the '
                    f"function does not need in {IGNORE_FILES[0]} (the first too much was {entry.name})",
                )
            yield entry


def _walk(folder: Path, prefix: str, rules: Sequence[Rule], within: tuple[str, ...]) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        name = prefix + item.name
        is_dir = item.is_dir()
        if item.name in IGNORED or item.name.endswith(".pyc") or is_ignored(name, is_dir, rules):
            continue
        if item.is_symlink() and os.path.realpath(item.path).startswith(within[0] + os.sep):
            status = item.stat(follow_symlinks=False)
            yield Entry(name, item.path, 0, (status.st_ino, status.st_size, status.st_ctime_ns), link=True)
        elif is_dir:
            real = os.path.realpath(item.path)
            if real not in within:  # a link out of the folder is followed, a circle is not
                yield from _walk(Path(item.path), name + "/", rules, (*within, real))
        elif item.is_file():
            status = item.stat()
            yield Entry(name, item.path, status.st_size, (status.st_ino, status.st_size, status.st_ctime_ns))


def _copy_link(entry: Entry, target: Path) -> str:
    """As a relative link, so that it stays inside the copy."""
    to = os.path.relpath(os.path.realpath(entry.path), os.path.realpath(os.path.dirname(entry.path)))
    target.symlink_to(to)
    return to


def _copy_file(entry: Entry, target: Path) -> tuple[str, str]:
    """Its mode and hash. Shares the blocks where the file system can (copy_file_range)."""
    content = hashlib.sha256()
    with open(entry.path, "rb") as source, target.open("w+b") as copy:
        executable = bool(os.fstat(source.fileno()).st_mode & 0o100)
        try:
            while os.copy_file_range(source.fileno(), copy.fileno(), 1 << 30):
                pass
        except OSError:
            source.seek(0)
            copy.seek(0)
            shutil.copyfileobj(source, copy, COPY_BYTES)
        copy.seek(0)
        while piece := copy.read(COPY_BYTES):
            content.update(piece)
        os.fchmod(copy.fileno(), 0o755 if executable else 0o644)
    return ("exec" if executable else "file"), content.hexdigest()


# --- ignore files


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an ignore file."""

    pattern: re.Pattern[str]
    keeps: bool  # the line began with !
    folders_only: bool


def parse_ignore(lines: Sequence[str]) -> tuple[Rule, ...]:
    """gitignore's rules: #, !, a leading or inner / anchors, a trailing / means folders, *, ?, [] and **."""
    rules = []
    for line in lines:
        text = line.rstrip()
        if not text or text.startswith("#"):
            continue
        keeps = text.startswith("!")
        text = text.removeprefix("!")
        folders_only = text.endswith("/")
        text = text.rstrip("/").removeprefix("./")
        anchored = "/" in text
        expression = _expression(text.lstrip("/"))
        rules.append(Rule(re.compile(expression if anchored else f"(?:.*/)?{expression}"), keeps, folders_only))
    return tuple(rules)


def is_ignored(name: str, is_dir: bool, rules: Sequence[Rule]) -> bool:
    """By the last rule that matches."""
    for rule in reversed(rules):
        if (is_dir or not rule.folders_only) and rule.pattern.fullmatch(name):
            return not rule.keeps
    return False


def _expression(glob: str) -> str:
    out, place = "", 0
    while place < len(glob):
        if glob.startswith("**/", place):
            out, place = out + "(?:.*/)?", place + 3
        elif glob.startswith("**", place):
            out, place = out + ".*", place + 2
        elif glob[place] == "*":
            out, place = out + "[^/]*", place + 1
        elif glob[place] == "?":
            out, place = out + "[^/]", place + 1
        elif glob[place] == "[" and (end := glob.find("]", place + 1)) > 0:
            inner = glob[place + 1 : end].replace("\\", "\\\\")
            out, place = out + ("[^" + inner[1:] if inner[:1] == "!" else "[" + inner) + "]", end + 1
        else:
            out, place = out + re.escape(glob[place]), place + 1
    return out
