/* UART of the Cortex-M System Design Kit (Arm DDI 0479, 4.3): one byte of buffer each way. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"
#include "small_code.h"

SMALL_CODE_BEGIN

#define UART_DATA REGISTER(APP_CONSOLE_ADDRESS + 0x00u)
#define UART_STATE REGISTER(APP_CONSOLE_ADDRESS + 0x04u)
#define UART_CTRL REGISTER(APP_CONSOLE_ADDRESS + 0x08u)
#define UART_BAUDDIV REGISTER(APP_CONSOLE_ADDRESS + 0x10u)

#define STATE_TX_FULL (1u << 0)
#define STATE_RX_FULL (1u << 1)
#define STATE_RX_OVERRUN (1u << 3)
#define CTRL_TX_ENABLE (1u << 0)
#define CTRL_RX_ENABLE (1u << 1)

void console_init(uint32_t input_hz) {
  UART_BAUDDIV = (input_hz + APP_CONSOLE_BAUD / 2u) / APP_CONSOLE_BAUD;
  UART_CTRL = CTRL_TX_ENABLE | CTRL_RX_ENABLE;
}

int port_read(void) {
  const uint32_t state = UART_STATE;
  if (state & STATE_RX_OVERRUN) {
    UART_STATE = STATE_RX_OVERRUN; /* written back to clear; the frame's CRC notices the loss */
  }
  return state & STATE_RX_FULL ? (int)(UART_DATA & 0xFFu) : -1;
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while (UART_STATE & STATE_TX_FULL) {
    }
    UART_DATA = data[i];
  }
}

SMALL_CODE_END
