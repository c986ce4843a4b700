"""The host's side of the device protocol: bytes on a line, frames, messages, and the client that asks."""

from .client import Client
from .messages import CounterKind, DeviceInfo, DeviceMemory
from .ports import AUTO, PortInfo, list_ports
from .serial_line import SerialLine
from .stream import ByteStream, SubprocessStream

__all__ = [
    "AUTO",
    "ByteStream",
    "Client",
    "CounterKind",
    "DeviceInfo",
    "DeviceMemory",
    "PortInfo",
    "SerialLine",
    "SubprocessStream",
    "list_ports",
]
