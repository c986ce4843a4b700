"""A development platform for emulated boards. It needs no packages: zig is a wheel, the emulator is tinyml-sdk's."""

from platformio.public import PlatformBase


class TinymlPlatform(PlatformBase):
    """Everything is in platform.json, boards/ and builder/main.py."""
