"""The flash tools: exact command lines as data, and real programs that look like them for everything around."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.simulated import firmware

from tinyml_sdk.boards import load_board
from tinyml_sdk.boards.model import FlashTool, PlatformioIds
from tinyml_sdk.cli import main
from tinyml_sdk.errors import BoardError, FlashError, InputError, MissingToolError
from tinyml_sdk.flash import FlashJob, choose_way, flash_image, get_flasher
from tinyml_sdk.flash import run as flash_run
from tinyml_sdk.flashing import flash_firmware
from tinyml_sdk.resources import boards_dir

BOARD = load_board("netduinoplus2")
WAYS = {
    "esptool": FlashTool(tool="esptool", chip="esp32c3", offset=0x10000),
    "pyocd": FlashTool(tool="pyocd", target="nrf52840"),
    "openocd": FlashTool(tool="openocd", config="board/st_nucleo_f4.cfg"),
    "st-flash": FlashTool(tool="st-flash"),
    "picotool": FlashTool(tool="picotool"),
    "teensy_loader": FlashTool(tool="teensy_loader", mcu="TEENSY41"),
    "platformio": FlashTool(tool="platformio"),
}


def board_with(*tools):
    return BOARD.model_copy(
        update={
            "flash_with": tuple(WAYS[tool] for tool in tools),
            "platformio": PlatformioIds(platform="ststm32", board="x", framework="arduino"),
        }
    )


@pytest.mark.parametrize(
    ("tool", "commands"),
    [
        (
            "esptool",
            [
                "esptool --chip esp32c3 elf2image --output firmware.bin firmware.elf",
                "esptool --chip esp32c3 --port /dev/ttyUSB0 write-flash 0x10000 firmware.bin",
            ],
        ),
        ("pyocd", ["pyocd load --no-wait --target nrf52840 firmware.elf"]),
        ("openocd", ["openocd -f board/st_nucleo_f4.cfg -c program firmware.elf verify reset exit"]),
        ("st-flash", ["st-flash --reset write firmware.bin 0x8000000"]),
        ("picotool", ["picotool load -v -x firmware.elf -f"]),
        ("teensy_loader", ["teensy_loader_cli --mcu=TEENSY41 -w -s -v firmware.hex"]),
        ("platformio", ["pio run --project-dir /projects/kws --target upload --upload-port /dev/ttyUSB0"]),
    ],
)
def test_command_lines_for_an_elf(tool, commands):
    job = FlashJob(BOARD, WAYS[tool], Path("build/x.elf"), "/dev/ttyUSB0", Path("/projects/kws"))
    assert [" ".join(command) for command in get_flasher(tool).commands(job)] == commands


@pytest.mark.parametrize(
    ("tool", "command"),
    [
        ("esptool", "esptool --chip esp32c3 --port /dev/ttyUSB0 write-flash 0x10000 firmware.bin"),
        ("pyocd", "pyocd load --no-wait --target nrf52840 firmware.bin@0x8000000"),
        ("openocd", "openocd -f board/st_nucleo_f4.cfg -c program firmware.bin 0x8000000 verify reset exit"),
        ("st-flash", "st-flash --reset write firmware.bin 0x8000000"),
        ("picotool", "picotool load -v -x firmware.bin -o 0x8000000 -f"),
    ],
)
def test_command_lines_for_a_plain_binary(tool, command):
    (only,) = get_flasher(tool).commands(FlashJob(BOARD, WAYS[tool], Path("x.bin"), "/dev/ttyUSB0"))
    assert " ".join(only) == command


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script into $PATH under a tool's name; it finds the files of the job in its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def install(name, script):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return install


def test_a_tool_runs_beside_its_files_and_shows_its_progress(program, tmp_path):
    log, seen = tmp_path / "log", tmp_path / "seen"
    wait = f"while ! [ -e {seen} ]; do sleep 0.01; done"
    program(
        "st-flash", f'echo "$@" > {log}; cat firmware.bin > {log}.bin; printf "1"; printf "0%%\\r"; {wait}; echo 99.5 %'
    )
    shown = []

    def show(*step):
        shown.append(step)
        if step[1] == 10:
            seen.touch()

    used = flash_image(board_with("st-flash"), firmware("netduinoplus2"), progress=show)
    assert used == "st-flash"
    assert log.read_text() == "--reset write firmware.bin 0x8000000\n"
    assert log.with_name("log.bin").stat().st_size > 10_000
    assert shown[0] == ("flashing with st-flash", 0, 100)
    assert ("flashing with st-flash", 10, 100) in shown
    assert shown[-1] == ("flashing with st-flash", 100, 100)


@pytest.mark.parametrize(
    ("tool", "name", "said", "message", "hint"),
    [
        ("esptool", "esptool", "Failed to connect to ESP32-C3: No serial data received.", "boot loader", "hold BOOT"),
        ("esptool", "esptool", "This chip is ESP32-S3, not ESP32-C3.", "another chip answers", "choose the board"),
        ("esptool", "esptool", "port is busy or doesn't exist", "another program holds", "end it"),
        ("pyocd", "pyocd", "Error: No available debug probes are connected", "no debug probe", "pyocd list"),
        ("pyocd", "pyocd", "Target type nrf52840 not recognized", "does not know this chip", "pyocd pack install"),
        ("openocd", "openocd", "Error: open failed", "no debug probe", "udev"),
        ("openocd", "openocd", "Can't find board/st_nucleo_f4.cfg", "no such script", "config"),
        ("st-flash", "st-flash", "Couldn't find any ST-Link devices", "finds no ST-LINK", "st-info --probe"),
        ("picotool", "picotool", "No accessible RP-series devices in BOOTSEL mode were found.", "no chip", "BOOTSEL"),
        ("st-flash", "st-flash", "libusb: LIBUSB_ERROR_ACCESS", "may not use", "dialout"),
        ("st-flash", "st-flash", "something else", "st-flash returned 7", "read its last lines"),
    ],
)
def test_failures_say_what_to_do(program, tool, name, said, message, hint):
    program(name, f'echo first line; echo "{said}" >&2; exit 7')
    with pytest.raises(FlashError, match=message) as caught:
        flash_image(board_with(tool), firmware("netduinoplus2"), port="/dev/ttyUSB0")
    assert hint in caught.value.hint
    assert said in caught.value.output
    assert caught.value.command.startswith(("/", name))


def test_a_tool_that_hangs_is_ended(program, monkeypatch, tmp_path):
    """Its last words are kept, also when the deadline has passed before they are read."""
    started = tmp_path / "started"
    program("st-flash", f"echo waiting; echo $$ > {started}.new; mv {started}.new {started}; sleep 100")
    monkeypatch.setattr(
        flash_run, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 1000 * started.exists())
    )
    with pytest.raises(FlashError, match="did not finish within 300 s") as caught:
        flash_image(board_with("st-flash"), firmware("netduinoplus2"))
    assert caught.value.output == "waiting"
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_ctrl_c_ends_the_tool(program, tmp_path):
    started = tmp_path / "started"
    program("st-flash", f"echo $$ > {started}.new; mv {started}.new {started}; sleep 100")

    def interrupted(*_):
        if started.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flash_image(board_with("st-flash"), firmware("netduinoplus2"), progress=interrupted)
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


@pytest.mark.parametrize("tool", ["st-flash", "openocd", "picotool", "teensy_loader"])
def test_a_missing_tool_says_how_to_install_it(monkeypatch, tool):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="is not installed") as caught:
        flash_image(board_with(tool), Path("x.elf"))
    assert "apt-get install" in caught.value.hint


def test_the_way_is_the_boards_first_or_the_one_named():
    board = board_with("platformio", "pyocd", "st-flash")
    assert choose_way(board).tool == "pyocd", "PlatformIO needs a project"
    assert choose_way(board, project=Path("p")).tool == "platformio"
    assert choose_way(board, "st-flash").tool == "st-flash"
    assert choose_way(board_with("platformio")).tool == "platformio"
    with pytest.raises(BoardError, match="with openocd") as caught:
        choose_way(board, "openocd")
    assert caught.value.hint.startswith("choose platformio or pyocd or st-flash")
    with pytest.raises(BoardError, match="does not say how"):
        choose_way(load_board("mps2-an386"))
    with pytest.raises(InputError, match="no flash tool"):
        get_flasher("jlink")


def test_what_a_tool_needs_is_asked_for(program, tmp_path):
    program("esptool", "exit 0")
    program("pio", "exit 0")
    elf = firmware("netduinoplus2")
    with pytest.raises(InputError, match="through a serial port") as caught:
        flash_image(board_with("esptool"), elf)
    assert "--port" in caught.value.hint
    with pytest.raises(InputError, match=r"no platformio\.ini"):
        flash_image(board_with("platformio"), elf)
    (tmp_path / "platformio.ini").touch()
    assert flash_image(board_with("platformio"), tmp_path, project=tmp_path) == "platformio"


def test_an_image_for_other_flash_is_refused(program):
    program("st-flash", "exit 0")
    with pytest.raises(InputError, match="begins at 0x00000000, and would be written to 0x08000000"):
        flash_image(board_with("st-flash"), firmware("mps2-an386"))


def test_the_command(program, tmp_path, capsys):
    program("st-flash", f'echo "$@" > {tmp_path}/log')
    elf = firmware("netduinoplus2")
    assert main(["flash", str(elf), "--board", "netduinoplus2", "--tool", "st-flash"]) == 0
    assert "with st-flash" in capsys.readouterr().err
    assert (tmp_path / "log").is_file()
    program("st-flash", "echo oops; exit 1")
    assert main(["flash", str(elf), "--board", "netduinoplus2", "--tool", "st-flash"]) == 3
    error = capsys.readouterr().err
    assert "error: netduinoplus2: st-flash returned 1" in error
    assert "  oops" in error
    assert "  $ " in error


def test_what_platformio_has_built_is_uploaded_as_its_project(program, tmp_path, monkeypatch):
    """The project has what an ELF lacks: boot loader and partition table."""
    monkeypatch.setenv("TINYML_BOARDS", str(tmp_path))
    text = (boards_dir() / "netduinoplus2.yaml").read_text(encoding="utf-8").replace("netduinoplus2", "mine", 1)
    ids = "platformio: {platform: ststm32, board: netduinoplus2, framework: arduino}\n"
    text = text.replace("flash_with:\n", ids + "flash_with:\n  - {tool: platformio}\n")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    program("pio", f'echo "$@" > {tmp_path}/log')
    monkeypatch.setattr("tinyml_sdk.flashing.firmware_image", lambda _given, folder, **_: make_project(folder))

    def make_project(folder):
        folder.mkdir()
        (folder / "platformio.ini").touch()
        return folder / "build" / "firmware.elf"

    model = tmp_path / "model.tflite"
    model.touch()
    master, terminal = os.openpty()
    port = os.ttyname(terminal)
    os.close(terminal)
    assert flash_firmware(model, board="mine", port=port, toolchain="platformio") == "platformio"
    os.close(master)
    said = (tmp_path / "log").read_text()
    assert said.endswith(f"/project --target upload --upload-port {port}\n")
