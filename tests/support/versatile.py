"""A server that behaves as its path says, on the standard library alone: for `process` instances that must misbehave.

/ its pid · /slow/SECONDS · /busy how many of those are under way · /exit/CODE (also POST) · /exit-once/FILE if that is
there, and takes it away · /half begins an answer and dies · /count the length of the body · /get?URL what another
service answered · /say?TEXT writes a line to its output
DEAF names a file: while that exists, it does not listen. SICK names one with the exit code of a start that fails.
SLAM names one: while that exists, the next connection is closed unread, and the file is taken away; none is kept.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLOW: list[str] = []
"""Those under way."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        name, _, argument = path.strip("/").partition("/")
        match name:
            case "slow":
                SLOW.append(argument)
                time.sleep(float(argument))
                SLOW.remove(argument)
                self.answer("slow")
            case "busy":
                self.answer(str(len(SLOW)))
            case "exit":
                os._exit(int(argument))
            case "exit-once":
                if Path(f"/{argument}").exists():
                    Path(f"/{argument}").unlink()
                    os._exit(5)
                self.answer(str(os.getpid()))
            case "half":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
                self.wfile.flush()
                os._exit(4)
            case "get":
                self.answer(fetched(query))
            case "say":
                print(query, flush=True)
                self.answer("said")
            case _:
                self.answer(str(os.getpid()))

    def do_POST(self) -> None:
        if self.path.startswith("/exit/"):
            os._exit(int(self.path.rpartition("/")[2]))
        left = int(self.headers.get("Content-Length") or 0)
        read = 0
        while left and (data := self.rfile.read(min(left, 1 << 20))):
            read += len(data)
            left -= len(data)
        self.answer(str(read))

    def answer(self, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if "SLAM" in os.environ:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def verify_request(self, request: object, client_address: object) -> bool:
        slam = os.environ.get("SLAM")
        if slam and Path(slam).exists():
            Path(slam).unlink()
            return False
        return True


def fetched(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            return f"{response.status} {response.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    except OSError as error:
        return f"0 {error}"


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if (sick := os.environ.get("SICK")) and Path(sick).exists():
        print("no luck today", file=sys.stderr, flush=True)
        sys.exit(int(Path(sick).read_text()))
    deaf = os.environ.get("DEAF")
    while deaf and Path(deaf).exists():
        time.sleep(0.02)
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
