"""The smallest container: it only waits, and so holds the network that the containers of one Pod share.

Kubernetes has its pause image for this; here the program is 150 bytes and built on the spot, since there may be no
registry to pull from. Used by `container` for Pods of more than one container.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

HOLDER_IMAGE: Final = "localhost/pilotlight-holder:1"
_BASE: Final = 0x400000
_HEADERS: Final = 64 + 56

# Wait for a signal, for ever: pause(2) on x86-64; ppoll(2) of nothing on arm64, which has no pause.
_PROGRAMS: Final[Mapping[str, tuple[int, bytes]]] = {
    "amd64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    "arm64": (
        183,
        struct.pack("<7I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA),
    ),
}
_SPELLINGS: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}


def holder_files(architecture: str) -> dict[str, tuple[bytes, int]]:
    """What the image is built from: path → content and mode. KeyError for an architecture without a program."""
    machine, code = _PROGRAMS[_SPELLINGS.get(architecture, architecture)]
    return {
        "Dockerfile": (b'FROM scratch\nCOPY hold /hold\nSTOPSIGNAL SIGKILL\nENTRYPOINT ["/hold"]\n', 0o644),
        "hold": (_elf(machine, code), 0o755),
    }


def _elf(machine: int, code: bytes) -> bytes:
    """A static executable of one segment (System V ABI, elf(5))."""
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little endian
    header = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = _HEADERS + len(code)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)  # loadable, read and execute
    return identity + header + segment + code
