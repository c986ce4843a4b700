"""UARTs as registers: the consoles of emulated boards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .peripherals import Peripheral

__all__ = [
    "UARTS",
    "CmsdkUart",
    "Nrf51Uart",
    "NrfUarte",
    "Ns16550Uart",
    "Stm32Lpuart",
    "Stm32Usart",
    "Uart",
]

IDLE_POLLS = 16
"""A firmware that has asked so often in a row for a byte and got none, and has sent none either, waits for the host."""


class Uart(Peripheral):
    """What all UARTs have in common: bytes from the host wait until they are taken, and sending takes no time.

    Args:
        received: What the host has written; bytes are taken from its front.
        sent: What the firmware writes is appended here.
        on_idle: Called when the firmware seems to wait for the host.
    """

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        self._received = received
        self._sent = sent
        self._on_idle = on_idle
        self._empty_polls = 0

    def _poll(self) -> bool:
        """Whether a byte waits, where the firmware asks for that."""
        if self._received:
            self._empty_polls = 0
            return True
        self._empty_polls += 1
        if self._empty_polls >= IDLE_POLLS:
            self._empty_polls = 0
            self._on_idle()
        return False

    def _take(self) -> int:
        return self._received.popleft() if self._received else 0

    def _send(self, value: int) -> None:
        self._empty_polls = 0
        self._sent.append(value & 0xFF)


class CmsdkUart(Uart):
    """UART of Arm's Cortex-M System Design Kit (Arm DDI 0479, 4.3)."""

    DATA, STATE, CTRL, BAUDDIV = 0x00, 0x04, 0x08, 0x10
    _TX_ENABLE, _RX_ENABLE, _RX_FULL = 1, 2, 2

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._control = 0
        self._divider = 0

    def read(self, offset: int) -> int:  # noqa: D102 - as in Peripheral, here and below
        if offset == self.STATE:
            return self._RX_FULL if self._control & self._RX_ENABLE and self._poll() else 0
        if offset == self.DATA:
            return self._take() if self._control & self._RX_ENABLE else 0
        return {self.CTRL: self._control, self.BAUDDIV: self._divider}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.DATA and self._control & self._TX_ENABLE:
            self._send(value)
        elif offset == self.CTRL:
            self._control = value & 0x7F
        elif offset == self.BAUDDIV:
            self._divider = value & 0xFFFFF


class Stm32Usart(Uart):
    """USART of STM32 F1, F2 and F4 (ST RM0090, 30.6)."""

    SR, DR, CR1 = 0x00, 0x04, 0x0C
    size = 0x400
    _RXNE, _TC, _TXE = 1 << 5, 1 << 6, 1 << 7
    _RE, _TE, _UE = 1 << 2, 1 << 3, 1 << 13

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102
        receiving = self._enabled(self._RE)
        if offset == self.SR:
            return self._TXE | self._TC | (self._RXNE if receiving and self._poll() else 0)
        if offset == self.DR:
            return self._take() if receiving else 0
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.DR:
            if self._enabled(self._TE):
                self._send(value)
        elif offset != self.SR:
            self._settings[offset] = value

    def _enabled(self, direction: int) -> bool:
        needed = self._UE | direction
        return self._settings.get(self.CR1, 0) & needed == needed


class Stm32Lpuart(Uart):
    """LPUART of STM32 L4 and later (ST RM0432), without its FIFOs."""

    CR1, ISR, ICR, RDR, TDR = 0x00, 0x1C, 0x20, 0x24, 0x28
    size = 0x400
    _UE, _RE, _TE = 1 << 0, 1 << 2, 1 << 3
    _RXNE, _TC, _TXE = 1 << 5, 1 << 6, 1 << 7

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102
        receiving = self._enabled(self._RE)
        if offset == self.ISR:
            return self._TXE | self._TC | (self._RXNE if receiving and self._poll() else 0)
        if offset == self.RDR:
            return self._take() if receiving else 0
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.TDR:
            if self._enabled(self._TE):
                self._send(value)
        elif offset not in (self.ISR, self.ICR):
            self._settings[offset] = value

    def _enabled(self, direction: int) -> bool:
        needed = self._UE | direction
        return self._settings.get(self.CR1, 0) & needed == needed


class Nrf51Uart(Uart):
    """UART of the nRF51 (nRF51 Series Reference Manual 3.0, chapter 29). Events are registers that stay set."""

    STARTRX, STOPRX, STARTTX, STOPTX = 0x000, 0x004, 0x008, 0x00C
    RXDRDY, TXDRDY, ENABLE, RXD, TXD = 0x108, 0x11C, 0x500, 0x518, 0x51C
    _ENABLED = 4

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._settings: dict[int, int] = {}
        self._receiving = self._sending = False
        self._taken = True
        self._ready = self._sent_event = 0

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.RXDRDY:
            return self._poll_event()
        if offset == self.TXDRDY:
            return self._sent_event
        if offset == self.RXD:
            self._taken = True
            return self._take() if self._receiving else 0
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        enabled = self._settings.get(self.ENABLE, 0) == self._ENABLED
        if offset in (self.STARTRX, self.STOPRX):
            self._receiving = enabled and offset == self.STARTRX and value == 1
        elif offset in (self.STARTTX, self.STOPTX):
            self._sending = enabled and offset == self.STARTTX and value == 1
        elif offset == self.TXD:
            if self._sending:
                self._send(value)
                self._sent_event = 1
        elif offset == self.RXDRDY:
            self._ready = value & 1
        elif offset == self.TXDRDY:
            self._sent_event = value & 1
        else:
            self._settings[offset] = value

    def _poll_event(self) -> int:
        """The event is set once for each byte, when the byte before it has been taken."""
        if not self._receiving:
            return self._ready
        if self._ready == 0 and self._poll() and self._taken:
            self._ready = 1
            self._taken = False
        return self._ready


class NrfUarte(Uart):
    """UARTE of the nRF53 (nRF5340 Product Specification 1.3.1), which reads and writes RAM by itself.

    A transfer that was started keeps its address and size; those set meanwhile are for the next one.

    Args:
        read_memory: Called with address and size.
        write_memory: Called with address and bytes.
    """

    STARTRX, STARTTX = 0x000, 0x008
    ENDRX, ENDTX, RXSTARTED, TXSTARTED, SHORTS, ENABLE = 0x110, 0x120, 0x14C, 0x150, 0x200, 0x500
    RXD_PTR, RXD_MAXCNT, TXD_PTR, TXD_MAXCNT = 0x534, 0x538, 0x544, 0x548
    _ENABLED, _ENDRX_STARTRX = 8, 1 << 5

    def __init__(
        self,
        received: deque[int],
        sent: bytearray,
        on_idle: Callable[[], None],
        read_memory: Callable[[int, int], bytes],
        write_memory: Callable[[int, bytes], None],
    ) -> None:
        super().__init__(received, sent, on_idle)
        self._read_memory = read_memory
        self._write_memory = write_memory
        self._registers: dict[int, int] = {}
        self._next, self._left = 0, 0

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.ENDRX and not self._registers.get(offset):
            self._receive()
        return self._registers.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        self._registers[offset] = value
        if self._registers.get(self.ENABLE) != self._ENABLED or value != 1:
            return
        if offset == self.STARTRX:
            self._start_receiving()
        elif offset == self.STARTTX:
            address, size = self._registers.get(self.TXD_PTR, 0), self._registers.get(self.TXD_MAXCNT, 0)
            for byte in self._read_memory(address, size):
                self._send(byte)
            self._registers |= {self.TXSTARTED: 1, self.ENDTX: 1}

    def _start_receiving(self) -> None:
        self._next, self._left = self._registers.get(self.RXD_PTR, 0), self._registers.get(self.RXD_MAXCNT, 0)
        self._registers[self.RXSTARTED] = 1

    def _receive(self) -> None:
        while self._left and self._poll():
            self._write_memory(self._next, bytes([self._take()]))
            self._next, self._left = self._next + 1, self._left - 1
            if self._left == 0:
                self._registers[self.ENDRX] = 1
                if self._registers.get(self.SHORTS, 0) & self._ENDRX_STARTRX:
                    self._start_receiving()
                return


class Ns16550Uart(Uart):
    """The 16550 of PCs and of many a RISC-V chip (National Semiconductor PC16550D), its registers a byte each."""

    DATA, LCR, LSR = 0, 3, 5
    register_bytes = 1
    _DATA_READY, _THR_EMPTY, _TX_EMPTY, _DIVISOR_LATCH = 1 << 0, 1 << 5, 1 << 6, 1 << 7

    def __init__(self, received: deque[int], sent: bytearray, on_idle: Callable[[], None]) -> None:
        super().__init__(received, sent, on_idle)
        self._settings: dict[int, int] = {}

    def read(self, offset: int) -> int:  # noqa: D102
        if offset == self.LSR:
            return self._THR_EMPTY | self._TX_EMPTY | (self._DATA_READY if self._poll() else 0)
        if offset == self.DATA and not self._sets_divisor:
            return self._take()
        return self._settings.get(offset, 0)

    def write(self, offset: int, value: int) -> None:  # noqa: D102
        if offset == self.DATA and not self._sets_divisor:
            self._send(value)
        else:
            self._settings[offset] = value

    @property
    def _sets_divisor(self) -> bool:
        return bool(self._settings.get(self.LCR, 0) & self._DIVISOR_LATCH)


UARTS: dict[str, type[Uart]] = {
    "cmsdk_uart": CmsdkUart,
    "stm32_usart": Stm32Usart,
    "stm32_lpuart": Stm32Lpuart,
    "nrf51_uart": Nrf51Uart,
    "ns16550": Ns16550Uart,
}
"""For the console drivers of board files their UART; machine.py has those that need more or are of one chip only."""
