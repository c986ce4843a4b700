/* The port interface as far as all RISC-V chips are alike. */
#include "app_config.h"
#include "port.h"
#include "riscv.h"

void port_init(void) {
  chip_init();
  console_init(APP_CLOCK_HZ);
}

uint32_t port_clock_hz(void) {
  return APP_CLOCK_HZ;
}

uint32_t port_stack_bytes(void) {
  return (uint32_t)((uintptr_t)_stack_top - (uintptr_t)_stack_limit);
}

uint32_t port_stack_high_water(void) {
  const uint32_t *deepest = _stack_limit;
  while (deepest < _stack_top && *deepest == STACK_PAINT) {
    ++deepest;
  }
  return (uint32_t)((uintptr_t)_stack_top - (uintptr_t)deepest);
}

void port_reset(void) {
  chip_reset();
}
