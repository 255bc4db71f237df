"""A function that counts: the connections it was called on, and the events it got. For `process` instances.

POST takes an event and, where REPLY is set, answers with one of that type; GET tells what was counted, itself left out.
BOOK names a file that every event is written to, a line each, before it is answered: its id, then `knativeerrorcode`
and `knativeerrordata` where it has them. With HALF the answer to a POST ends after its head. On the standard library
alone.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

CALLERS: set[tuple[str, int]] = set()
EVENTS: list[str] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        CALLERS.add(self.client_address)
        EVENTS.append(self.headers["ce-id"])
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if book := os.environ.get("BOOK"):
            names = ("ce-id", "ce-knativeerrorcode", "ce-knativeerrordata")
            with open(book, "a") as file:  # one write of less than a page: no other line gets into it
                file.write("\t".join(unquote(self.headers[name]) for name in names if name in self.headers) + "\n")
        self.send_response(200)
        if "HALF" in os.environ:
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.close_connection = True
        elif reply := os.environ.get("REPLY"):
            for name, value in (("specversion", "1.0"), ("type", reply), ("source", "/counting")):
                self.send_header(f"ce-{name}", value)
            self.send_header("ce-id", f"reply-to-{self.headers['ce-id']}")
            self.send_header("Content-Type", "application/json")
            self.answer(body or b"{}")
        else:
            self.answer(b"")

    def do_GET(self) -> None:
        self.send_response(200)
        self.answer(json.dumps({"connections": len(CALLERS), "events": EVENTS}).encode())

    def answer(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


if __name__ == "__main__":
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.serve_forever()
