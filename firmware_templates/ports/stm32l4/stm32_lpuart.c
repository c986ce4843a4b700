/* LPUART of STM32L4, L5, G0, G4, H7 and U5 (ST RM0432): one byte of buffer each way
 * while its FIFOs are off. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"

#define LPUART_CR1 REGISTER(APP_CONSOLE_ADDRESS + 0x00u)
#define LPUART_BRR REGISTER(APP_CONSOLE_ADDRESS + 0x0Cu)
#define LPUART_ISR REGISTER(APP_CONSOLE_ADDRESS + 0x1Cu)
#define LPUART_ICR REGISTER(APP_CONSOLE_ADDRESS + 0x20u)
#define LPUART_RDR REGISTER(APP_CONSOLE_ADDRESS + 0x24u)
#define LPUART_TDR REGISTER(APP_CONSOLE_ADDRESS + 0x28u)

#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)

void console_init(uint32_t input_hz) {
  LPUART_BRR = (uint32_t)(((uint64_t)input_hz * 256u + APP_CONSOLE_BAUD / 2u) / APP_CONSOLE_BAUD);
  LPUART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

int port_read(void) {
  const uint32_t status = LPUART_ISR;
  if (status & ISR_ORE) {
    LPUART_ICR = ISR_ORE; /* the frame's CRC notices the loss */
  }
  return status & ISR_RXNE ? (int)(LPUART_RDR & 0xFFu) : -1;
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while (!(LPUART_ISR & ISR_TXE)) {
    }
    LPUART_TDR = data[i];
  }
}
