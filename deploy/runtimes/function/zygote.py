"""The fork server of one function: imports it once, then forks an instance per start.

    python -P zygote.py CONTROL_FD FOLDER …      (the rest as for host.py)

The spawner starts it and holds the other end of the control socket; every message is one JSON datagram.

    from the spawner   {"id", "env", "groups"} with two descriptors, stdout and stderr: fork an instance
                       {"id", "groups", "park": true} with one, a socket: fork a spare, which waits there for {"env"}
                       and the two descriptors to become an instance
    to the spawner     {"ready": true} or {"unsafe": [why, …]} or {"failed": why}, once
                       {"id", "pid"} when forked, {"pid", "status"} when that one has ended

A fork copies what the import left behind, so only what is safe to copy is forked: threads, event loops, sockets and
child processes made at import time make the function "unsafe", and the platform starts it as a fresh process instead.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import ctypes
import gc
import importlib.util
import json
import os
import random
import selectors
import signal
import socket
import sys
import threading
import traceback
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
MESSAGE_BYTES_MAX = 1 << 20
ENTER_GROUPS_AFTER_S = 0.5  # meanwhile the kernel lets nobody fork or start a thread: not during the first request
REPLAY_BYTES_MAX = 64 * 1024  # of what the import printed: it belongs into the log of every instance


def load_host() -> Any:
    path = Path(__file__).resolve().parent / "host.py"
    spec = importlib.util.spec_from_file_location("_pilotlight_host", path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["_pilotlight_host"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- the fork server


class Zygote:
    """One `select` loop over the control socket and SIGCHLD."""

    def __init__(self, host: Any, options: Any, control: socket.socket) -> None:
        self._host, self._options, self._control = host, options, control
        self._function: Any = None
        self._printed = (b"", b"")
        self._children: set[int] = set()
        self._retired = False
        self._libc = ctypes.PyDLL(None)
        self._woken_r, self._woken_w = os.pipe()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        before = self._host.beside("obstacles").open_kinds()
        with Captured() as captured:
            try:
                self._host.prepare(self._options)
                self._function = self._host.load(self._options)
            except BaseException as error:
                self._host.beside("complaints").complain(error)
                self._tell({"failed": f"{type(error).__name__}: {error}"})
                return 1
        self._printed = captured.contents
        unsafe = self._host.beside("obstacles").obstacles(before)
        if unsafe:
            self._tell({"unsafe": unsafe})
            return 0
        warm(self._host)
        gc.collect()
        gc.freeze()  # a collection in an instance must not write to every page of the template
        self._tell({"ready": True})
        self._loop()
        return 0

    def _loop(self) -> None:
        for end in (self._woken_r, self._woken_w):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._retire)  # sent to all when the platform ends: our instances have a grace
        signal.set_wakeup_fd(self._woken_w, warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ, self._receive)
        self._selector.register(self._woken_r, selectors.EVENT_READ, self._reap)
        while not self._retired or self._children:
            for key, _ in self._selector.select():
                key.data()
            if self._retired and self._control.fileno() in self._selector.get_map():
                self._selector.unregister(self._control)

    def _retire(self, *_: object) -> None:
        """Nobody will ask again; our instances live on, and so do we until the last has ended."""
        self._retired = True

    def _receive(self) -> None:
        request, descriptors = receive(self._control)
        if request is None:
            self._retire()
            return
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(request, descriptors, parent)
        for fd in descriptors:
            os.close(fd)
        self._children.add(pid)
        self._tell({"id": request["id"], "pid": pid})

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken_r, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                self._children.discard(ended[0])
                self._tell({"pid": ended[0], "status": ended[1]})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._control.send(json.dumps(message).encode())

    def _become(self, request: dict[str, Any], descriptors: list[int], parent: int) -> NoReturn:
        """In the child: an instance of its own, at once or when it is wanted."""
        code = 1
        try:
            self._leave_template(parent)
            loop = asyncio.SelectorEventLoop()  # half the start-up time of uvloop
            groups = request["groups"]
            if request.get("park"):
                request, descriptors = self._park(groups, descriptors[0])
                groups = []
            for target, source in enumerate(descriptors, 1):
                os.dup2(source, target)
                os.close(source)
            os.environ.clear()
            os.environ.update(request["env"])
            renew()
            for target, text in enumerate(self._printed, 1):
                if text:
                    os.write(target, text)
            later = partial(loop.call_later, ENTER_GROUPS_AFTER_S, enter_groups_beside, groups)
            code = self._host.serve(self._function, self._options.bind, loop, later if groups else None)
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except BaseException as error:
            self._host.beside("complaints").complain(error)
        finally:
            leave(code)

    def _leave_template(self, parent: int) -> None:
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(127)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        self._selector.close()
        for fd in (self._control.detach(), self._woken_r, self._woken_w):
            os.close(fd)

    def _park(self, groups: list[str], channel_fd: int) -> tuple[dict[str, Any], list[int]]:
        """A spare does ahead of its time whatever takes some: enters its cgroups, makes its copies of hot pages."""
        enter_groups(groups)
        warm(self._host)
        if self._function.shape != "asgi":
            self._host.beside("shapes").threads().submit(int).result()  # the first thread of those for handlers
        with socket.socket(fileno=channel_fd) as channel:
            request, descriptors = receive(channel)
        if request is None:
            os._exit(0)
        return request, descriptors


def receive(control: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """One message and the descriptors that came with it; None at the end."""
    data, ancillary, _, _ = control.recvmsg(MESSAGE_BYTES_MAX, socket.CMSG_SPACE(2 * 4))
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
    return (json.loads(data) if data else None), list(descriptors)


def leave(code: int) -> NoReturn:
    """As the interpreter would: threads awaited, `atexit` run, buffers flushed; but without tearing down the heap,
    which would copy every page shared with the template."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does at its end
        import atexit

        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def renew() -> None:
    """What would else be the same in every instance. `uuid4`, `secrets` and `ssl` ask the kernel by themselves."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.seed()
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        uuid.__dict__["_last_timestamp"] = None
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        tempfile.__dict__["tempdir"] = None  # that of the template, should the import have asked for it


def enter_groups(doors: list[str]) -> None:
    for door in doors:
        with contextlib.suppress(OSError), open(door, "w", encoding="ascii") as file:
            file.write("0")


def enter_groups_beside(doors: list[str]) -> None:
    """Beside the instance's work, since a move waits up to 15 ms for an RCU period."""
    threading.Thread(target=enter_groups, args=(doors,), name="cgroups", daemon=True).start()


class Captured:
    """What is written to stdout and stderr meanwhile, by Python or C; passed on at the end."""

    def __enter__(self) -> Captured:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = [os.dup(fd) for fd in (1, 2)]
        self._files = [os.memfd_create(name) for name in ("stdout", "stderr")]
        for target, file in enumerate(self._files, 1):
            os.dup2(file, target)
        self.contents = (b"", b"")
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        texts = []
        for target, (saved, file) in enumerate(zip(self._saved, self._files, strict=True), 1):
            os.dup2(saved, target)
            text = os.pread(file, REPLAY_BYTES_MAX, 0)
            if text:
                os.write(target, text)
            texts.append(text)
            os.close(saved)
            os.close(file)
        self.contents = (texts[0], texts[1])


def warm(host: Any) -> None:
    """One request through a server of our own: whatever is made on first use is made before the fork."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def once() -> None:
        server = host.beside("server").Server(app)
        listener = host.listen("127.0.0.1", 0)
        task = asyncio.get_running_loop().create_task(server.serve(listener, listening.set))
        await listening.wait()
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"POST /?a=b HTTP/1.1\r\nhost: warm\r\ncontent-length: 1\r\n\r\n.")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        server.stopping.set()
        await task

    listening = asyncio.Event()
    loop = asyncio.SelectorEventLoop()
    try:
        loop.run_until_complete(once())
    finally:
        loop.close()
        asyncio.set_event_loop(None)


def main() -> int:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    host = load_host()
    options, _ = host.Options.parse(sys.argv[2:])
    return Zygote(host, options, control).run()


if __name__ == "__main__":
    sys.exit(main())
