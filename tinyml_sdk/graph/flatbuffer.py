"""A FlatBuffers reader that trusts nothing.

The generated Python readers index wherever an offset points, so a damaged file ends in a struct.error, a
MemoryError or a loop of four billion steps. Here every offset and length is checked against the file before it is
followed, and every fault names the path to the field. Layout: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FlatBufferError", "Table", "root_table"]


class FlatBufferError(ValueError):
    """An offset, length or value that cannot be. `path` leads to it: `subgraphs[0].tensors[3].shape`."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message


def _unpack(kind: str, data: bytes, position: int, path: str) -> int | float:
    size = struct.calcsize(kind)
    if position < 0 or position + size > len(data):
        raise FlatBufferError(path, f"points to byte {position}, but the file ends at {len(data)}")
    value: int | float = struct.unpack_from("<" + kind, data, position)[0]
    return value


def _unpack_int(kind: str, data: bytes, position: int, path: str) -> int:
    return int(_unpack(kind, data, position, path))


def root_table(data: bytes, identifier: bytes) -> Table:
    """The root table of a file with a 4-byte file identifier. Raises FlatBufferError."""
    if len(data) < 12:
        raise FlatBufferError("file", f"{len(data)} bytes are too few for a header")
    if data[4:8] != identifier:
        raise FlatBufferError("file", f"identifier is {data[4:8]!r}, not {identifier!r}")
    return Table.at(data, _unpack_int("I", data, 0, "file"), "")


@dataclass(frozen=True)
class Table:
    """One table. Slots are numbered from 0 in the order of the schema; an absent field reads as its default."""

    data: bytes
    position: int
    vtable: int
    vtable_bytes: int
    path: str

    @classmethod
    def at(cls, data: bytes, position: int, path: str) -> Table:
        """The table at a byte position. Raises FlatBufferError unless its vtable lies inside the file."""
        vtable = position - _unpack_int("i", data, position, path)
        vtable_bytes = _unpack_int("H", data, vtable, path)
        if vtable_bytes < 4 or vtable + vtable_bytes > len(data):
            raise FlatBufferError(path, f"has a vtable of {vtable_bytes} bytes at {vtable}")
        return cls(data, position, vtable, vtable_bytes, path)

    def named(self, name: str) -> str:
        """The path of one of this table's fields."""
        return f"{self.path}.{name}" if self.path else name

    def _field(self, slot: int) -> int | None:
        entry = 4 + 2 * slot
        if entry + 2 > self.vtable_bytes:
            return None
        offset = _unpack_int("H", self.data, self.vtable + entry, self.path)
        return self.position + offset if offset else None

    def scalar(self, slot: int, name: str, kind: str, default: int = 0) -> int:
        """An integer field; `kind` is its struct letter."""
        position = self._field(slot)
        return default if position is None else _unpack_int(kind, self.data, position, self.named(name))

    def real(self, slot: int, name: str, default: float = 0.0) -> float:
        """A float32 field."""
        position = self._field(slot)
        return default if position is None else float(_unpack("f", self.data, position, self.named(name)))

    def has(self, slot: int) -> bool:
        """Whether the field is in the file."""
        return self._field(slot) is not None

    def table(self, slot: int, name: str) -> Table | None:
        """A sub-table, or None."""
        position = self._field(slot)
        if position is None:
            return None
        path = self.named(name)
        return Table.at(self.data, position + _unpack_int("I", self.data, position, path), path)

    def _vector(self, slot: int, name: str, item_bytes: int) -> tuple[int, int] | None:
        position = self._field(slot)
        if position is None:
            return None
        path = self.named(name)
        start = position + _unpack_int("I", self.data, position, path)
        count = _unpack_int("I", self.data, start, path)
        if start + 4 + count * item_bytes > len(self.data):
            raise FlatBufferError(path, f"claims {count} items, more than the file holds")
        return start + 4, count

    def array(self, slot: int, name: str, dtype: str) -> npt.NDArray[np.generic] | None:
        """A vector of numbers as a read-only view of the file, or None. `dtype` is numpy's, little-endian."""
        kind = np.dtype(dtype).newbyteorder("<")
        found = self._vector(slot, name, kind.itemsize)
        if found is None:
            return None
        start, count = found
        return np.frombuffer(self.data, dtype=kind, count=count, offset=start)

    def integers(self, slot: int, name: str, dtype: str = "i4") -> tuple[int, ...]:
        """A vector of integers; absent reads as empty."""
        values = self.array(slot, name, dtype)
        return () if values is None else tuple(int(value) for value in values.tolist())

    def reals(self, slot: int, name: str) -> tuple[float, ...]:
        """A vector of float32; absent reads as empty."""
        values = self.array(slot, name, "f4")
        return () if values is None else tuple(float(value) for value in values.tolist())

    def text(self, slot: int, name: str) -> str:
        """A string; bytes that are not UTF-8 are replaced, as names are for people only."""
        values = self.array(slot, name, "u1")
        return "" if values is None else values.tobytes().decode("utf-8", "replace")

    def tables(self, slot: int, name: str, limit: int) -> Iterator[Table]:
        """A vector of tables. Raises FlatBufferError when it has more than `limit`."""
        found = self._vector(slot, name, 4)
        if found is None:
            return
        start, count = found
        if count > limit:
            raise FlatBufferError(self.named(name), f"has {count} entries; the limit is {limit}")
        for index in range(count):
            path = f"{self.named(name)}[{index}]"
            item = start + 4 * index
            yield Table.at(self.data, item + _unpack_int("I", self.data, item, path), path)
