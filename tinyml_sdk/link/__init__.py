"""The host's side of the device protocol: bytes on a line, frames, messages, and the client that asks."""

from .client import Client
from .messages import CounterKind, DeviceInfo, DeviceMemory
from .stream import ByteStream, SubprocessStream

__all__ = ["ByteStream", "Client", "CounterKind", "DeviceInfo", "DeviceMemory", "SubprocessStream"]
