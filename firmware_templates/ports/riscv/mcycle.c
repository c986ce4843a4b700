/* The core's own cycle counter of 64 bits (RISC-V Instruction Set Manual, volume II, 3.1.10), which
 * runs from reset on. */
#include "app_config.h"
#include "port.h"

uint64_t port_counter(void) {
  uint32_t high, low, again;
  do { /* the low half may turn between the reads */
    __asm volatile("csrr %0, mcycleh\n"
                   "csrr %1, mcycle\n"
                   "csrr %2, mcycleh\n"
                   : "=&r"(high), "=&r"(low), "=&r"(again));
  } while (high != again);
  return (uint64_t)high << 32 | low;
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_MCYCLE;
}

uint32_t port_counter_hz(void) {
  return APP_CLOCK_HZ;
}
