"""A stand-in for Renode, which could not be installed where this was written: it is none, and proves nothing about it.

It obeys the few monitor commands that our scripts use, and runs the firmware in the builtin emulator. So it tests how
the target starts, feeds and ends a process; whether Renode understands the scripts, only Renode can tell.
"""

from __future__ import annotations

import os
import re
import select
import socket
import sys
import time
from pathlib import Path

from tinyml_sdk.boards import load_board
from tinyml_sdk.targets import open_target


def main() -> int:
    if "--version" in sys.argv:
        print("Renode v0.0.0.stand-in")
        return 0
    assert sys.argv[1:4] == ["--disable-gui", "--console", "--plain"], sys.argv
    script = Path(sys.argv[4]).read_text(encoding="utf-8")
    if mode := os.environ.get("STAND_IN_FAILS"):
        print("Could not load the platform description" if mode == "ends" else "[INFO] loading")
        if mode == "hangs":
            time.sleep(60)
        return 3
    port = int(found(r"^\$port\?=(\d+)$", script))
    assert "emulation CreateServerSocketTerminal $port" in script
    assert Path(found(r"^machine LoadPlatformDescription @(\S+)$", script)).read_text(encoding="utf-8")
    target = open_target("builtin", load_board(found(r'^mach create "(.+)"$', script)))
    target.load(Path(found(r"^sysbus LoadELF @(\S+)$", script)))
    with socket.create_server(("127.0.0.1", port)) as server:
        peer, _ = server.accept()
        return serve(target, peer)


def serve(target, peer) -> int:
    stream = None
    pending = b""
    while True:
        for ready in select.select([sys.stdin.fileno(), peer], [], [], 0.01)[0]:
            if ready is peer:
                data = peer.recv(4096)
                if data and stream is not None:
                    stream.write(data)
                continue
            chunk = os.read(sys.stdin.fileno(), 4096)
            *commands, pending = (pending + chunk).split(b"\n")
            for command in commands:
                if command == b"quit":
                    return 0
                if command == b"start":
                    stream = target.open()
                elif command == b"machine Reset":
                    target.reset()
                else:
                    print(f"No such command: {command!r}")
            if not chunk:
                return 0
        if stream is not None:
            peer.sendall(stream.read(time.monotonic() + 0.01))


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match is not None, (pattern, text)
    return match[1]


sys.exit(main())
