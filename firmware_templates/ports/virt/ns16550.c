/* The 16550 UART (National Semiconductor PC16550D), its registers one byte apart. */
#include "app_config.h"
#include "port.h"
#include "riscv.h"

#define UART_DATA REGISTER_BYTE(APP_CONSOLE_ADDRESS + 0u)
#define UART_FCR REGISTER_BYTE(APP_CONSOLE_ADDRESS + 2u)
#define UART_LCR REGISTER_BYTE(APP_CONSOLE_ADDRESS + 3u)
#define UART_LSR REGISTER_BYTE(APP_CONSOLE_ADDRESS + 5u)

#define FCR_ENABLE 1u
#define LCR_8_BITS 3u
#define LSR_DATA_READY (1u << 0)
#define LSR_THR_EMPTY (1u << 5)

/* The divisor stays as it is: an emulated line has no speed. Enabling the buffer empties it, which
 * QEMU does not tell who sends: where a byte came early, no other would come before one is read. */
void console_init(uint32_t input_hz) {
  (void)input_hz;
  UART_LCR = LCR_8_BITS;
  UART_FCR = FCR_ENABLE;
  (void)UART_DATA;
}

int port_read(void) {
  return UART_LSR & LSR_DATA_READY ? (int)UART_DATA : -1;
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while (!(UART_LSR & LSR_THR_EMPTY)) {
    }
    UART_DATA = data[i];
  }
}
