"""PlatformIO's build script for emulated boards: zig compiles and links, uploading runs the firmware in an emulator."""

import importlib.util
import shutil
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

env = DefaultEnvironment()
board = env.BoardConfig()
scripts = Path(env.PioPlatform().get_dir()) / "builder"


def find_zig():
    """`custom_zig` of platformio.ini, `zig` on the PATH, or the ziglang wheel beside PlatformIO."""
    wheel = importlib.util.find_spec("ziglang")
    candidates = (
        env.GetProjectOption("custom_zig", ""),
        shutil.which("zig"),
        wheel and str(Path(wheel.origin).with_name("zig")),
    )
    found = next((zig for zig in candidates if zig and Path(zig).is_file()), None)
    if found is None:
        sys.stderr.write("Error: zig is not installed: pip install ziglang, or set custom_zig in platformio.ini\n")
        env.Exit(1)
    return found


zig = f'"$PYTHONEXE" "{scripts / "zig.py"}" "$BUILD_DIR/zig.lock" "{find_zig()}"'
compiler = f"{zig} cc {board.get('build.zig_flags')}"

env.Replace(
    CC=compiler,
    CXX=compiler.replace(" cc ", " c++ ", 1),
    AS=compiler,
    LINK=compiler,
    AR=zig,
    ARCOM="$AR ar rc $TARGET $SOURCES",
    RANLIB=zig,
    RANLIBCOM="$RANLIB ranlib $TARGET",
    # A list, as PlatformIO splits text at every blank.
    SIZETOOL="$PYTHONEXE",
    SIZECHECKCMD=["$SIZETOOL", str(scripts / "elf_size.py"), "$SOURCES"],
    SIZEPRINTCMD=f'"$SIZETOOL" "{scripts / "elf_size.py"}" $SOURCES',
    SIZEPROGREGEXP=r"^(?:flash|data)\s+(\d+)",
    SIZEDATAREGEXP=r"^(?:data|bss)\s+(\d+)",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    LDSCRIPT_PATH=env.subst(str(Path("$PROJECT_DIR") / board.get("build.ldscript"))),
)
env.Append(
    CFLAGS=["-std=c99"],
    CCFLAGS=[
        *("-ffreestanding", "-ffunction-sections", "-fdata-sections"),
        *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),
        # Zig turns the undefined-behaviour sanitizer on by itself and keeps frame pointers; without -g it strips the
        # symbols.
        *("-fno-sanitize=undefined", "-fomit-frame-pointer", "-g"),
    ],
    # The linker is the compiler: it optimizes its run-time library by these flags too.
    LINKFLAGS=["$CCFLAGS", "-Wl,--gc-sections", "-Wl,-e,Reset_Handler"],
)

elf = env.BuildProgram()
AlwaysBuild(env.Alias("nobuild", elf))
env.Replace(UPLOADCMD=f'"$PYTHONEXE" "{scripts / "emulate.py"}" $SOURCE --board {env["BOARD"]}')
env.AddPlatformTarget("size", elf, env.VerboseAction("$SIZEPRINTCMD", "Size of $SOURCE"), "Program size")
env.AddPlatformTarget("upload", elf, env.VerboseAction("$UPLOADCMD", "Running $SOURCE"), "Run in the emulator")
Default(elf)
