/* UARTE of the nRF53 (nRF5340 Product Specification 1.3.1): a UART that reads and writes RAM
 * by itself. Bytes come one at a time into two slots in turn: while one is read, the next byte goes
 * to the other. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"

#define UARTE_TASKS_STARTRX REGISTER(APP_CONSOLE_ADDRESS + 0x000u)
#define UARTE_TASKS_STARTTX REGISTER(APP_CONSOLE_ADDRESS + 0x008u)
#define UARTE_EVENTS_ENDRX REGISTER(APP_CONSOLE_ADDRESS + 0x110u)
#define UARTE_EVENTS_ENDTX REGISTER(APP_CONSOLE_ADDRESS + 0x120u)
#define UARTE_EVENTS_RXSTARTED REGISTER(APP_CONSOLE_ADDRESS + 0x14Cu)
#define UARTE_SHORTS REGISTER(APP_CONSOLE_ADDRESS + 0x200u)
#define UARTE_ENABLE REGISTER(APP_CONSOLE_ADDRESS + 0x500u)
#define UARTE_PSEL_TXD REGISTER(APP_CONSOLE_ADDRESS + 0x50Cu)
#define UARTE_PSEL_RXD REGISTER(APP_CONSOLE_ADDRESS + 0x514u)
#define UARTE_BAUDRATE REGISTER(APP_CONSOLE_ADDRESS + 0x524u)
#define UARTE_RXD_PTR REGISTER(APP_CONSOLE_ADDRESS + 0x534u)
#define UARTE_RXD_MAXCNT REGISTER(APP_CONSOLE_ADDRESS + 0x538u)
#define UARTE_TXD_PTR REGISTER(APP_CONSOLE_ADDRESS + 0x544u)
#define UARTE_TXD_MAXCNT REGISTER(APP_CONSOLE_ADDRESS + 0x548u)
#define GPIO_OUTSET REGISTER(0x50842508)
#define GPIO_DIRSET REGISTER(0x50842518)

#define SHORTS_ENDRX_STARTRX (1u << 5)
#define ENABLE_UARTE 8u
#define WAIT_TURNS 1000 /* a start takes a few cycles */

static volatile uint8_t slots[2];
static unsigned filled; /* the slot that the next byte ends up in */

/* A start takes the address over; from then on the next one may be set. */
static void wait_started(void) {
  for (int turn = 0; turn < WAIT_TURNS && UARTE_EVENTS_RXSTARTED == 0; ++turn) {
  }
  UARTE_EVENTS_RXSTARTED = 0;
}

void console_init(uint32_t input_hz) {
  GPIO_OUTSET = 1u << APP_CONSOLE_TX_PIN; /* the line idles high, also before the UART drives it */
  GPIO_DIRSET = 1u << APP_CONSOLE_TX_PIN;
  UARTE_PSEL_TXD = APP_CONSOLE_TX_PIN;
  UARTE_PSEL_RXD = APP_CONSOLE_RX_PIN;
  /* baud * 2^32 / clock, to the 20 bits the register has */
  UARTE_BAUDRATE =
      ((uint32_t)(((uint64_t)APP_CONSOLE_BAUD << 32) / input_hz) + 0x800u) & 0xFFFFF000u;
  UARTE_ENABLE = ENABLE_UARTE;
  UARTE_SHORTS = SHORTS_ENDRX_STARTRX;
  UARTE_RXD_PTR = (uint32_t)(uintptr_t)&slots[0];
  UARTE_RXD_MAXCNT = 1;
  UARTE_TASKS_STARTRX = 1;
  wait_started();
  UARTE_RXD_PTR = (uint32_t)(uintptr_t)&slots[1];
}

int port_read(void) {
  if (UARTE_EVENTS_ENDRX == 0) {
    return -1;
  }
  UARTE_EVENTS_ENDRX = 0;
  wait_started(); /* the short has begun to fill the other slot */
  const int byte = slots[filled];
  UARTE_RXD_PTR = (uint32_t)(uintptr_t)&slots[filled];
  filled ^= 1u;
  return byte;
}

/* By way of RAM, as the UART cannot read flash. */
void port_write(const uint8_t *data, size_t size) {
  static volatile uint8_t chunk[64];
  while (size != 0) {
    const size_t count = size < sizeof chunk ? size : sizeof chunk;
    for (size_t i = 0; i < count; ++i) {
      chunk[i] = data[i];
    }
    UARTE_EVENTS_ENDTX = 0;
    UARTE_TXD_PTR = (uint32_t)(uintptr_t)chunk;
    UARTE_TXD_MAXCNT = (uint32_t)count;
    UARTE_TASKS_STARTTX = 1;
    while (UARTE_EVENTS_ENDTX == 0) {
    }
    data += count;
    size -= count;
  }
}
