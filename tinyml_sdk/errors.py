"""Every error this package raises on purpose.

```
TinymlError                   a message, where it happened, and a hint: what to do next
├── InputError        exit 2  what the user gave cannot be used
│   ├── ModelError            a .tflite file: names the file, the op and the field
│   └── BoardError            a board file: names the file, the line and the key
├── CheckError        exit 1  the thing checked does not hold
│   ├── FitError              the model does not fit the board
│   ├── MismatchError         the device's outputs differ from the reference
│   └── RegressionError       a newer result costs more than allowed
└── ToolError         exit 3  a tool or a device failed
    ├── MissingToolError      something is not installed
    ├── BuildError            the compiler failed: its command and last lines
    └── TargetError           the device or emulator
        ├── DeviceResetError      the device has started again in the middle of something
        ├── DeviceTimeoutError    no answer before the deadline
        ├── FlashError            the firmware was not written: the tool's command and last lines
        ├── PortBusyError         another program holds the serial port
        └── ProtocolError         an answer that makes no sense
```

The command line prints one line for each (`error: where: message`), the hint below it, and exits with `exit_code`.
"""

from __future__ import annotations

__all__ = [
    "BoardError",
    "BuildError",
    "CheckError",
    "DeviceResetError",
    "DeviceTimeoutError",
    "FitError",
    "FlashError",
    "InputError",
    "MismatchError",
    "MissingToolError",
    "ModelError",
    "PortBusyError",
    "ProtocolError",
    "RegressionError",
    "TargetError",
    "TinymlError",
    "ToolError",
]


class TinymlError(Exception):
    """Base of the hierarchy. `where` locates the fault (file, op, field, line); `hint` says what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str, where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(TinymlError):
    """What the user gave (a file, an option, an array) cannot be used."""

    exit_code = 2


class ModelError(InputError):
    """A model file that is damaged, or asks for something unsupported."""


class BoardError(InputError):
    """A board file with a missing, unknown or impossible entry, or a board that does not exist."""


class CheckError(TinymlError):
    """What was checked does not hold."""

    exit_code = 1


class FitError(CheckError):
    """The model needs more flash or RAM than the board has."""


class MismatchError(CheckError):
    """Outputs on the device differ from the reference."""


class RegressionError(CheckError):
    """A newer result costs more than the limit allows, or is wrong."""


class ToolError(TinymlError):
    """A tool or device failed through no fault of the input."""


class MissingToolError(ToolError):
    """A program or optional package is not installed; the hint says how to install it."""


class BuildError(ToolError):
    """The compiler failed. `command` is what was run, `output` its last lines."""

    def __init__(self, message: str, *, hint: str, where: str = "", command: str = "", output: str = "") -> None:
        super().__init__(message, hint=hint, where=where)
        self.command = command
        self.output = output


class TargetError(ToolError):
    """The board or emulator could not be started, loaded or reached."""


class DeviceTimeoutError(TargetError):
    """No answer before the deadline. `received` holds the bytes that did arrive."""

    def __init__(self, message: str, *, hint: str, where: str = "", received: bytes = b"") -> None:
        super().__init__(message, hint=hint, where=where)
        self.received = received


class DeviceResetError(TargetError):
    """The device has started again in between, so what it was told before is lost."""


class FlashError(TargetError):
    """The firmware was not written to the board. `command` is what was run, `output` its last lines."""

    def __init__(self, message: str, *, hint: str, where: str = "", command: str = "", output: str = "") -> None:
        super().__init__(message, hint=hint, where=where)
        self.command = command
        self.output = output


class PortBusyError(TargetError):
    """Another program holds the serial port."""


class ProtocolError(TargetError):
    """The device answered with something that is not the protocol, or refused a request."""
