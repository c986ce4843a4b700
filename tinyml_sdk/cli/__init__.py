"""The command line: parse, call the library, render. Only this package prints, and only errors.py sets exit codes.

`tinyml --help` must be instant, so what a command needs is imported when it runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from .. import __version__
from .bench import bench
from .boards import boards_app
from .build import build
from .compare import compare
from .compress import compress
from .doctor import doctor
from .errors import Command, run_guarded
from .flash import flash
from .generate import generate
from .inspect import inspect
from .output import emit, replace_closed_streams
from .quantize import quantize
from .simulate import simulate

__all__ = ["app", "main"]

app = typer.Typer(
    name="tinyml",
    add_completion=False,
    rich_markup_mode=None,  # plain help: it can be piped, and does not import rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass
class Settings:
    """What holds for every command; the context carries it.

    Attributes:
        debug: Whether to show tracebacks.
        line: The arguments of this process, where it was started as `tinyml`; None where a program calls `main`.
    """

    debug: bool
    line: tuple[str, ...] | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tinyml` and return its exit code.

    0 is success, 1 that what was checked does not hold, 2 bad usage or input, 3 that a tool or device failed, and 130
    that Ctrl-C ended it.
    """
    replace_closed_streams()
    settings = Settings(
        debug=os.environ.get("TINYML_DEBUG", "0") not in ("", "0"),
        line=tuple(sys.argv[1:]) if arguments is None else None,
    )
    command = typer.main.get_command(app)
    return run_guarded(
        lambda: command.main(arguments, prog_name="tinyml", standalone_mode=False, obj=settings),
        debug=lambda: settings.debug,
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        emit(f"tinyml {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (or set TINYML_DEBUG=1).")
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Int8 neural networks on microcontrollers: compiled to C, verified byte for byte, measured layer by layer.

    Start with `tinyml bench MODEL.tflite --board mps2-an386`, and with `tinyml doctor` when something is missing.
    """
    settings: Settings = context.obj
    settings.debug = settings.debug or debug
    if context.invoked_subcommand is None:
        emit(context.get_help() + "\n")


for command in (compress, quantize, inspect, generate, build, flash, bench, compare, simulate, doctor):
    app.command(cls=Command)(command)
app.add_typer(boards_app, name="boards")
