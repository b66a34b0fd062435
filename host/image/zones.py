"""Make links of time zones that have been alike since 1970: usage: zones.py DIRECTORY

Debian builds a hundred zones, each with a block of the disk, that the time zone database leaves
out, since they differ from others only before 1970. Of zones that are alike since then, the first
in zone1970.tab stays a file.
"""

import os
import struct
import sys
from pathlib import Path

HEADER = struct.Struct(">4sc15x6l")  # RFC 8536


def since_1970(path):
    """What the file says of the time since then; None if it is none."""
    data = path.read_bytes()
    if data[:4] != b"TZif":
        return None
    # The first block, of 32 bits, is for old programs.
    *_, isut, isstd, leaps, times, types, letters = HEADER.unpack_from(data)
    at = HEADER.size + times * 5 + types * 6 + letters + leaps * 8 + isstd + isut
    *_, isut, isstd, leaps, times, types, letters = HEADER.unpack_from(data, at)
    at += HEADER.size
    moments = struct.unpack_from(f">{times}q", data, at)
    indexes = data[at + times * 8:at + times * 9]
    at += times * 9
    names = data[at + types * 6:at + types * 6 + letters]
    kinds = [(offset, summer, names[name:names.index(0, name)])
             for offset, summer, name in struct.iter_unpack(">lBB", data[at:at + types * 6])]
    rule = data[at + types * 6 + letters + leaps * 12 + isstd + isut:]
    before = [kinds[index] for moment, index in zip(moments, indexes) if moment <= 0]
    return ((before or kinds)[-1 if before else 0], rule,
            *((moment, kinds[index]) for moment, index in zip(moments, indexes) if moment > 0))


def main(folder):
    folder = Path(folder)
    table = (folder / "zone1970.tab").read_text(encoding="utf-8").splitlines()
    first = [folder / line.split("\t")[2] for line in table if not line.startswith("#")]
    others = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    seen = {}
    for path in [*first, *others]:
        told = since_1970(path)
        if told and seen.setdefault(told, path) != path:
            link = os.path.relpath(seen[told], path.parent)
            path.unlink()
            path.symlink_to(link)


if __name__ == "__main__":
    main(*sys.argv[1:])
