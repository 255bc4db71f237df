"""Many clients, in a process of their own because descriptors are counted per process.

`python -m tests.support.crowd PORT COUNT` connects and asks once on each connection, and says so. At the first line of
input every second client hangs up; at the second the others read their answers, and the statuses are printed.
"""

from __future__ import annotations

import socket
import sys
from collections import Counter

REQUEST = b"GET / HTTP/1.1\r\nHost: hello.test\r\n\r\n"


def main(port: int, count: int) -> None:
    clients = []
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(REQUEST)
        clients.append(client)
    print("asked", flush=True)
    sys.stdin.readline()
    for client in clients[::2]:
        client.close()
    print("left", flush=True)
    sys.stdin.readline()
    statuses = Counter(client.recv(65536)[9:12].decode() for client in clients[1::2])
    print(dict(statuses), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
