/* UART of the RP2040, Arm's PL011 (RP2040 datasheet, 4.2): 32 bytes of buffer each way. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"

#define UART_DR REGISTER(APP_CONSOLE_ADDRESS + 0x00u)
#define UART_FR REGISTER(APP_CONSOLE_ADDRESS + 0x18u)
#define UART_IBRD REGISTER(APP_CONSOLE_ADDRESS + 0x24u)
#define UART_FBRD REGISTER(APP_CONSOLE_ADDRESS + 0x28u)
#define UART_LCR_H REGISTER(APP_CONSOLE_ADDRESS + 0x2Cu)
#define UART_CR REGISTER(APP_CONSOLE_ADDRESS + 0x30u)

#define FR_RX_EMPTY (1u << 4)
#define FR_TX_FULL (1u << 5)
#define LCR_H_FIFOS (1u << 4)
#define LCR_H_8_BITS (3u << 5)
#define CR_ENABLE (1u << 0)
#define CR_TX_ENABLE (1u << 8)
#define CR_RX_ENABLE (1u << 9)

void console_init(uint32_t input_hz) {
  /* In 64ths of a sixteenth of a bit, rounded. */
  const uint32_t divider = (uint32_t)((8u * (uint64_t)input_hz / APP_CONSOLE_BAUD + 1u) / 2u);
  UART_IBRD = divider >> 6;
  UART_FBRD = divider & 0x3Fu;
  UART_LCR_H = LCR_H_8_BITS | LCR_H_FIFOS; /* after the divider, which it takes over */
  UART_CR = CR_ENABLE | CR_TX_ENABLE | CR_RX_ENABLE;
}

int port_read(void) {
  return UART_FR & FR_RX_EMPTY ? -1 : (int)(UART_DR & 0xFFu);
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while (UART_FR & FR_TX_FULL) {
    }
    UART_DR = data[i];
  }
}
