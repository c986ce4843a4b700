/* USART of STM32F1, F2 and F4 (ST RM0090, chapter 30.6): one byte of buffer each way. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"

#define USART_SR REGISTER(APP_CONSOLE_ADDRESS + 0x00u)
#define USART_DR REGISTER(APP_CONSOLE_ADDRESS + 0x04u)
#define USART_BRR REGISTER(APP_CONSOLE_ADDRESS + 0x08u)
#define USART_CR1 REGISTER(APP_CONSOLE_ADDRESS + 0x0Cu)

#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_UE (1u << 13)

void console_init(uint32_t input_hz) {
  USART_BRR = (input_hz + APP_CONSOLE_BAUD / 2u) / APP_CONSOLE_BAUD;
  USART_CR1 = CR1_UE | CR1_TE | CR1_RE;
}

/* Reading SR and then DR also clears an overrun; the frame's CRC notices the loss. */
int port_read(void) {
  return USART_SR & SR_RXNE ? (int)(USART_DR & 0xFFu) : -1;
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    while (!(USART_SR & SR_TXE)) {
    }
    USART_DR = data[i];
  }
}
