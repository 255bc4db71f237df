"""What of SQLite's write-ahead log is cut off by damage.

After a crash SQLite reads its log up to the first frame whose checksum does not match and takes that for the end: right
for a transaction that was being written, wrong for a flipped bit, behind which there are transactions that were synced.
It says nothing of them; this counts them. `eventing/log/database.py` asks, before SQLite writes over them.

The layout: https://www.sqlite.org/fileformat2.html#walformat
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoints, two salts, two checksums
_FRAME = struct.Struct(">4I8x")  # page, pages after the commit (0: not the last frame of one), two salts, checksums
_MAGIC = 0x377F0682  # + 1 where checksums are big-endian


def commits_in(path: Path) -> list[int]:
    """The numbers, from 1, of the frames that end a transaction of the log's present generation."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return []
        _, _, page_bytes, _, *salts = _HEADER.unpack(header)[:6]
        if not _is_whole(header):  # the log is ignored as a whole; its first frame still has the salts
            page_bytes = 4096
            salts = []
        commits: list[int] = []
        number = 0
        while len(frame := file.read(_FRAME.size)) == _FRAME.size:
            number += 1
            _, pages, *found = _FRAME.unpack(frame)
            salts = salts or found
            if found == salts and pages:
                commits.append(number)
            file.seek(page_bytes, 1)
        return commits


def _is_whole(header: bytes) -> bool:
    magic, *_, first, second = _HEADER.unpack(header)
    if magic & ~1 != _MAGIC:
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", header[:24])
    one = two = 0
    for index in range(0, 6, 2):
        one = (one + words[index] + two) & 0xFFFFFFFF
        two = (two + words[index + 1] + one) & 0xFFFFFFFF
    return (one, two) == (first, second)
