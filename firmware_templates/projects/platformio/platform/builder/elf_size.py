"""Prints what an ELF file takes, for PlatformIO and Arduino to read: `flash`, `data` and `bss`, in bytes."""

import struct
import sys

SHT_NOBITS = 8
SHF_WRITE, SHF_ALLOC = 1, 2


def main():
    """Adds up the allocated sections of a 32 bit little-endian ELF."""
    with open(sys.argv[1], "rb") as stream:  # noqa: PTH123 - as short as the rest of a build script
        image = stream.read()
    table, entry, count = struct.unpack_from("<I10xHH", image, 32)
    sizes = {"flash": 0, "data": 0, "bss": 0}
    for index in range(count):
        _, kind, flags, _, _, size = struct.unpack_from("<6I", image, table + index * entry)
        if flags & SHF_ALLOC:
            part = "bss" if kind == SHT_NOBITS else "data" if flags & SHF_WRITE else "flash"
            sizes[part] += size
    for part, size in sizes.items():
        print(part, size)


if __name__ == "__main__":
    main()
