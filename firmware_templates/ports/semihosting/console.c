/* Console over Arm semihosting (Arm IHI 0100): whoever runs the program, a debugger or an emulator,
 * stops it at this breakpoint, reads or writes a byte for it, and lets it go on. Without either, it
 * is a crash. */
#include "cortex_m.h"
#include "port.h"

#define SYS_WRITEC 0x03u /* argument: address of the byte */
#define SYS_READC 0x07u  /* returns the byte, once there is one */

static int32_t semihosting(uint32_t operation, const void *argument) {
  register uint32_t r0 __asm("r0") = operation;
  register const void *r1 __asm("r1") = argument;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return (int32_t)r0;
}

void console_init(uint32_t input_hz) {
  (void)input_hz;
}

/* Waits for the byte, as there is no way to ask. */
int port_read(void) {
  const int32_t byte = semihosting(SYS_READC, NULL);
  return byte >= 0 && byte <= UINT8_MAX ? (int)byte : -1;
}

void port_write(const uint8_t *data, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    (void)semihosting(SYS_WRITEC, data + i);
  }
}
