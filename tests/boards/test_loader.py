"""Board files: the ones that ship, the user's own, and every way to get one wrong."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.boards import list_boards, load_board
from tinyml_sdk.codegen.port_files import host_port_files, port_files
from tinyml_sdk.errors import BoardError
from tinyml_sdk.resources import boards_dir, templates_dir
from tinyml_sdk.yaml_files.lines import YamlError, parse_yaml

EMULATED = (
    *("microbit", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"),
    *("netduinoplus2", "virt-rv32"),
)
STAND_INS = (
    "mps2-cm0plus",
    "semihosting-m4",
)
"""Boards of the builtin emulator alone."""
REAL = (
    *("disco_f407vg", "esp32-c3-devkitm-1", "esp32-c6-devkitc-1", "esp32-s3-devkitc-1", "esp32dev", "nano33ble"),
    *("nrf52840_dk", "nrf5340_dk", "nucleo_f446re", "nucleo_h743zi", "nucleo_l4r5zi", "nucleo_u575zi_q"),
    *("pico", "pico2", "teensy41", "xiao_nrf52840"),
)
SHIPPED = tuple(sorted((*EMULATED, *STAND_INS, *REAL)))
GOOD = (boards_dir() / "mps2-an386.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_boards_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TINYML_BOARDS", raising=False)


def write(folder, text, name="board.yaml"):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def error_of(file):
    with pytest.raises(BoardError) as caught:
        load_board(file)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_boards_that_ship():
    assert tuple(board.name for board in list_boards()) == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_board_that_ships_says_where_its_facts_are_from(name):
    board = load_board(name)
    assert board.name == name
    assert len(board.source) > 20
    if name in EMULATED:
        assert "QEMU" in board.source
        assert board.emulators.builtin or board.core_spec.has("mve")  # which the builtin emulator does not know
        assert board.emulators.qemu is not None
    elif name in STAND_INS:
        assert board.emulators.builtin
        assert not board.flash_with
    else:
        assert board.flash_with
        assert ("platformio" in board.projects) == (board.platformio is not None)
        assert any("silicon" in quirk for quirk in board.quirks)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_files_of_its_port_exist(name):
    files = port_files(load_board(name))
    ports = templates_dir() / "ports"
    assert all((ports / file).is_file() for file in (*files.sources, *files.headers))
    assert (files.linker is not None) == ("baremetal" in load_board(name).projects)
    assert files.linker is None or (ports / files.linker).is_file()
    assert all((ports / folder).is_dir() for folder in files.include_dirs)
    assert len(set(files.sources)) == len(files.sources)


def test_the_host_has_a_port_too():
    assert host_port_files().sources == ("host/port.c",)
    assert host_port_files().linker is None


def test_facts_of_one_board():
    board = load_board("netduinoplus2")
    assert (board.core, board.fpu, board.clock_hz) == ("cortex-m4", "fpv4-sp-d16", 168_000_000)
    assert (board.flash.origin, board.flash.size) == (0x0800_0000, 1 << 20)
    assert (board.ram.origin, board.ram.size, board.ram.end) == (0x2000_0000, 128 << 10, 0x2002_0000)
    assert board.core_spec.has("dsp")


def test_an_unknown_name_gets_a_suggestion():
    error = error_of("mps2-an38")
    assert str(error) == "there is no board 'mps2-an38'"
    assert error.hint.startswith("did you mean mps2-an386?") or error.hint.startswith("did you mean mps2-an385?")
    assert "microbit" in error.hint
    assert "did you mean" not in error_of("zzz").hint


def test_names_are_no_paths():
    assert "there is no board" in str(error_of(".."))
    assert "there is no board" in str(error_of(""))


def test_user_folders_come_first(monkeypatch, tmp_path):
    mine = GOOD.replace("name: mps2-an386", "name: mine")
    write(tmp_path / "config/tinyml/boards", mine, "mine.yaml")
    write(tmp_path / "listed", mine.replace("title: ", "title: My "), "mine.yaml")
    write(tmp_path / "listed", GOOD.replace("clock_hz: 25_", "clock_hz: 50_"), "mps2-an386.yaml")
    assert load_board("mine").title.startswith("Arm")
    monkeypatch.setenv("TINYML_BOARDS", f"{tmp_path / 'nowhere'}:{tmp_path / 'listed'}")
    assert load_board("mine").title.startswith("My Arm")
    assert load_board("mps2-an386").clock_hz == 50_000_000
    assert {board.name for board in list_boards()} == {*SHIPPED, "mine"}


def test_a_file_in_a_folder_is_called_like_its_board(monkeypatch, tmp_path):
    file = write(tmp_path, GOOD, "other.yaml")
    monkeypatch.setenv("TINYML_BOARDS", str(tmp_path))
    assert error_of("other").hint == "rename the file to mps2-an386.yaml"
    assert load_board(file).name == "mps2-an386"


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("clock_hz: 25_000_000", "clock_hz: fast", "7: clock_hz", "should be a valid integer, not 'fast'"),
        ("clock_hz: 25_000_000", "clock_hz: 1", "7: clock_hz", "should be greater than or equal to 32768, not 1"),
        ("clock_hz: 25_000_000", "", "1: clock_hz", "is missing"),
        ("clock_hz: 25_000_000", "clock: 25_000_000", "7: clock", "unknown key (and 1 more)"),
        ("clock_hz: 25_000_000", "clock_hz: 25.5", "7: clock_hz", "should be a valid integer"),
        ("clock_hz: 25_000_000", "clock_hz: 010", "7", "010 is not a decimal number or 0x… integer"),
        ("clock_hz: 25_000_000", "clock_hz: " + "10" * 6000, "7", "integer"),
        ("port: mps2", "port: mps2\nbaud: 9600", "15: baud", "unknown key"),
        ("address:", "adress:", "12: console.adress", "unknown key"),
        ("address: 0x4000_4000, ", "", "12: console.address", "is missing: cmsdk_uart needs it"),
        ("baud: 115_200}", "baud: 115_200, bits: 8}", "12: console.bits", "unknown key"),
        (
            "cmsdk_uart",
            "pl011",
            "12: console.driver",
            "should be 'cmsdk_uart', 'stm32_usart', 'stm32_lpuart', 'nrf51_uart', 'nrf_uarte', 'pl011_uart',",
        ),
        ("cmsdk_uart", "nrf51_uart", "12: console.tx_pin", "is missing: nrf51_uart needs it"),
        ("baud: 115_200}", "rx_pin: 3, baud: 9600}", "12: console.rx_pin", "cmsdk_uart takes no pins"),
        ("core: cortex-m4", "core: cortex-m5", "5: core", "'cortex-m5' is not one of cortex-m0"),
        ("fpu: fpv4-sp-d16", "fpu: fpv5-d16", "6: fpu", "'fpv5-d16': a cortex-m4 has none or fpv4-sp-d16"),
        ("cortex-m4\nfpu: fpv4-sp-d16", "cortex-m0", "10: counter", "has no DWT"),
        ("origin: 0x2000_0000", "origin: 0x1000", "10: ram", "overlaps with flash"),
        ("origin: 0x2000_0000", "origin: 0xFFFF_0000", "10: ram.size", "behind the last address"),
        ("origin: 0x2000_0000", "origin: 0x2000_0004", "10: ram.origin", "multiple of 8"),
        ("[baremetal", "[make, baremetal", "13: projects.0", "should be 'baremetal'"),
        ("name: mps2-an386", "name: ../x", "1: name", "should match pattern"),
        (
            "  qemu: {machine: mps2-an386}",
            "  qemu: {machin: x}",
            "17: emulators.qemu.machin",
            "unknown key (and 1 more)",
        ),
        ("port: mps2", "port: mps2\nport: stm32f4", "15", "port is given twice"),
        ("port: mps2", "port: &p mps2", "14", "anchors and aliases are not allowed"),
        (
            "port: mps2",
            "port: !!python/name:os.system x",
            "14",
            "the tag tag:yaml.org,2002:python/name:os.system is not",
        ),
        ("port: mps2", "port: [a, b", "15", "expected ',' or ']'"),
        ("port: mps2", "port: \x07", "1", "unacceptable character"),
        ("port: mps2", "[a]: b", "14", "a key must be a word"),
        ("port: mps2", "port: " + "[" * 2000 + "]" * 2000, "14", "nested more than 8 deep"),
    ],
)
def test_faults_name_line_and_key(tmp_path, old, new, where, message):
    assert old in GOOD
    file = write(tmp_path, GOOD.replace(old, new, 1))
    error = error_of(file)
    assert message in error.message
    assert error.where == f"{file}:{where}"


FLASHING = """\
flash_with:
  - {tool: esptool, chip: esp32c3, offset: 0x1_0000}
  - {tool: pyocd, target: nrf52840}
  - {tool: openocd, config: board/st_nucleo_f4.cfg}
  - {tool: st-flash}
  - {tool: picotool}
  - {tool: uf2, volume: RPI-RP2, family: 0xE48B_FF56}
  - {tool: teensy_loader, mcu: TEENSY41}
  - {tool: platformio}
usb: ["0483:374b", 303a:1001]
reset: esp
platformio: {platform: ststm32, board: nucleo_f446re, framework: arduino}
"""


def test_how_a_board_is_flashed_and_found(tmp_path):
    board = load_board(write(tmp_path, GOOD + FLASHING))
    assert [way.tool for way in board.flash_with][:2] == ["esptool", "pyocd"]
    assert (board.flash_with[0].chip, board.flash_with[0].offset) == ("esp32c3", 0x10000)
    assert board.flash_with[5].family == 0xE48BFF56
    assert board.usb == ("0483:374b", "303a:1001")
    assert board.reset == "esp"
    assert board.platformio.board == "nucleo_f446re"
    plain = load_board("mps2-an386")
    assert (plain.flash_with, plain.usb, plain.reset, plain.platformio) == ((), (), "none", None)


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("tool: esptool, chip: esp32c3", "tool: esptool", "flash_with.0.chip", "is missing: esptool needs it"),
        ("tool: st-flash", "tool: stflash", "flash_with.3.tool", "should be 'esptool', 'pyocd'"),
        ("{tool: st-flash}", "{}", "flash_with.3.tool", "is missing"),
        ("tool: picotool", "tool: picotool, mcu: x", "flash_with.4.mcu", "picotool takes no such key, only tool"),
        ("nrf52840}", "nrf52840, offset: 0}", "flash_with.1.offset", "pyocd takes no such key, only tool and target"),
        ("target: nrf52840", "target: --script", "flash_with.1.target", "should match pattern"),
        ('"0483:374b"', '"0483:374B"', "usb.0", "should match pattern"),
        ("reset: esp", "reset: dtr", "reset", "should be 'none', 'dtr_rts' or 'esp', not 'dtr'"),
        ("platform: ststm32, ", "", "platformio.platform", "is missing"),
        ("platformio: {platform: ststm32, board: nucleo_f446re, framework: arduino}", "", "flash_with", "ids in Plat"),
    ],
)
def test_faults_of_flashing_name_the_key(tmp_path, old, new, where, message):
    assert old in FLASHING
    error = error_of(write(tmp_path, GOOD + FLASHING.replace(old, new, 1)))
    assert message in error.message
    assert error.where.endswith(f": {where}")


def test_unknown_keys_get_a_suggestion(tmp_path):
    chip = FLASHING.replace("chip: esp32c3", "chip: esp32c3, ofset: 0")
    assert error_of(write(tmp_path, GOOD + chip)).hint == "did you mean offset?"
    assert error_of(write(tmp_path, GOOD + "quirk: [x]\n")).hint == "did you mean quirks?"
    assert error_of(write(tmp_path, GOOD + "zzz: 1\n")).hint.startswith("known keys: name, title, ")
    qemu = GOOD.replace("qemu: {machine", "qemu: {memory: 1, machine")
    assert error_of(write(tmp_path, qemu)).hint == "known keys: machine, system, cpu, bios"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a list"),
        (b"- a\n- b\n", "is not a list"),
        (b"just text", "is not a list"),
        (b"a: 1\n---\nb: 2\n", "but found another document"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"# " + b"x" * 70_000, "is larger than 65,536 bytes"),
    ],
)
def test_what_is_no_board_file(tmp_path, content, message):
    file = tmp_path / "board.yaml"
    file.write_bytes(content)
    assert message in error_of(file).message


def test_files_that_cannot_be_read(tmp_path):
    assert error_of(tmp_path / "none.yaml").message == "cannot be read: No such file or directory"
    assert error_of(str(tmp_path)).message == "cannot be read: Is a directory"
    assert error_of("boards/none.yaml").where == "boards/none.yaml"


def test_a_board_must_fit_its_port(tmp_path):
    def fault(old, new):
        with pytest.raises(BoardError) as caught:
            port_files(load_board(write(tmp_path, GOOD.replace(old, new, 1))))
        return caught.value

    port = fault("port: mps2", "port: mps")
    assert str(port) == "mps2-an386: there is no port 'mps'"
    assert port.hint.startswith("did you mean mps2? known: arduino, esp_idf, mps2, nrf51, nrf52, nrf53, ")
    assert "there is no port '../host'" in str(fault("port: mps2", "port: ../host"))
    assert "the port mps2 has no console driver 'stm32_usart'" in str(fault("cmsdk_uart", "stm32_usart"))
    assert "the port mps2 has no counter 'nrf_timer'" in str(fault("counter: dwt", "counter: nrf_timer"))


@pytest.mark.slow
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_value_or_an_error(text):
    try:
        parse_yaml(text)
    except YamlError as error:
        assert error.line >= 1


@given(st.integers(0, len(GOOD) - 1), st.text(max_size=3), st.integers(0, 5))
def test_a_damaged_file_is_a_board_or_an_error(tmp_path_factory, at, new, removed):
    file = tmp_path_factory.mktemp("damaged") / "board.yaml"
    file.write_text(GOOD[:at] + new + GOOD[at + removed :], encoding="utf-8")
    try:
        load_board(file)
    except BoardError as error:
        assert error.where.startswith(str(file))


def test_looking_at_cores_imports_no_pydantic():
    code = "import sys, tinyml_sdk.boards.cores; sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
