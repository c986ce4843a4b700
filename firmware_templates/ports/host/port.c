/* The benchmark application as a program of the host: the protocol on stdin and stdout, nothing
 * counted. For running generated models under sanitizers, and where no emulator is at hand. POSIX.
 */
#define _POSIX_C_SOURCE 200809L

#include "port.h"

#include <stdlib.h>
#include <unistd.h>

void port_init(void) {
}

/* Waits for the byte, as this program has nothing else to do. The end of the input ends the
 * program. */
int port_read(void) {
  uint8_t byte;
  if (read(STDIN_FILENO, &byte, 1) != 1) {
    exit(EXIT_SUCCESS);
  }
  return byte;
}

void port_write(const uint8_t *data, size_t size) {
  while (size != 0) {
    const ssize_t written = write(STDOUT_FILENO, data, size);
    if (written <= 0) {
      exit(EXIT_FAILURE);
    }
    data += written;
    size -= (size_t)written;
  }
}

uint64_t port_counter(void) {
  return 0;
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_NONE;
}

uint32_t port_counter_hz(void) {
  return 0;
}

uint32_t port_clock_hz(void) {
  return 0;
}

uint32_t port_stack_bytes(void) {
  return 0;
}

uint32_t port_stack_high_water(void) {
  return 0;
}

/* A fresh start of the same program on the same pipes. */
void port_reset(void) {
  execl("/proc/self/exe", "firmware", (char *)NULL);
  exit(EXIT_FAILURE);
}
