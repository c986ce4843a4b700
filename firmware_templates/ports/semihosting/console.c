/* Console over Arm semihosting (Arm IHI 0100): whoever runs the program, a debugger or an emulator,
 * stops it at this breakpoint, reads or writes for it, and lets it go on. Each stop takes a
 * debugger milliseconds. Without either, it is a crash. */
#include "cortex_m.h"
#include "port.h"

#define SYS_OPEN 0x01u  /* name, mode, length of the name: returns a handle, or -1 */
#define SYS_WRITE 0x05u /* handle, buffer, size: returns how many bytes were not written */
#define SYS_READC 0x07u /* returns the byte, once there is one */

#define MODE_WRITE 5u /* fopen's "wb": of the console, what is shown */

static uintptr_t output; /* the handle */

static uintptr_t semihosting(uint32_t operation, const uintptr_t *arguments) {
  register uintptr_t r0 __asm("r0") = operation;
  register const uintptr_t *r1 __asm("r1") = arguments;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void console_init(uint32_t input_hz) {
  static const char name[] = ":tt";
  const uintptr_t arguments[] = {(uintptr_t)name, MODE_WRITE, sizeof name - 1u};
  (void)input_hz;
  output = semihosting(SYS_OPEN, arguments);
}

/* Waits for the byte, as there is no way to ask. */
int port_read(void) {
  const uintptr_t byte = semihosting(SYS_READC, NULL);
  return byte <= UINT8_MAX ? (int)byte : -1;
}

void port_write(const uint8_t *data, size_t size) {
  while (size != 0) {
    const uintptr_t arguments[] = {output, (uintptr_t)data, size};
    const uintptr_t left = semihosting(SYS_WRITE, arguments);
    if (left >= size) {
      return; /* nobody listens: the host asks again */
    }
    data += size - left;
    size = left;
  }
}
