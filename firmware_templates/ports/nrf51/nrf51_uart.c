/* UART of nRF51 and nRF52 (nRF51 Series Reference Manual 3.0, chapter 29; nRF52840 Product
 * Specification 1.7, 6.33). Six bytes of buffer for what is received. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"

#define UART_TASKS_STARTRX REGISTER(APP_CONSOLE_ADDRESS + 0x000u)
#define UART_TASKS_STARTTX REGISTER(APP_CONSOLE_ADDRESS + 0x008u)
#define UART_EVENTS_RXDRDY REGISTER(APP_CONSOLE_ADDRESS + 0x108u)
#define UART_EVENTS_TXDRDY REGISTER(APP_CONSOLE_ADDRESS + 0x11Cu)
#define UART_ENABLE REGISTER(APP_CONSOLE_ADDRESS + 0x500u)
#define UART_PSELTXD REGISTER(APP_CONSOLE_ADDRESS + 0x50Cu)
#define UART_PSELRXD REGISTER(APP_CONSOLE_ADDRESS + 0x514u)
#define UART_RXD REGISTER(APP_CONSOLE_ADDRESS + 0x518u)
#define UART_TXD REGISTER(APP_CONSOLE_ADDRESS + 0x51Cu)
#define UART_BAUDRATE REGISTER(APP_CONSOLE_ADDRESS + 0x524u)
#define GPIO_OUTSET REGISTER(0x50000508)
#define GPIO_DIRSET REGISTER(0x50000518)

void console_init(uint32_t input_hz) {
  GPIO_OUTSET = 1u << APP_CONSOLE_TX_PIN; /* the line idles high, also before the UART drives it */
  GPIO_DIRSET = 1u << APP_CONSOLE_TX_PIN;
  UART_PSELTXD = APP_CONSOLE_TX_PIN;
  UART_PSELRXD = APP_CONSOLE_RX_PIN;
  /* baud * 2^32 / clock, to the 20 bits the register has: 0x01D7E000 for 115200 as in the manual */
  UART_BAUDRATE =
      ((uint32_t)(((uint64_t)APP_CONSOLE_BAUD << 32) / input_hz) + 0x800u) & 0xFFFFF000u;
  UART_ENABLE = 4;
  UART_TASKS_STARTTX = 1;
  UART_TASKS_STARTRX = 1;
}

int port_read(void) {
  if (UART_EVENTS_RXDRDY == 0) {
    return -1;
  }
  UART_EVENTS_RXDRDY = 0; /* before the byte is taken: taking it may announce the next one */
  return (int)(UART_RXD & 0xFFu);
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    UART_EVENTS_TXDRDY = 0;
    UART_TXD = data[i];
    while (UART_EVENTS_TXDRDY == 0) {
    }
  }
}
