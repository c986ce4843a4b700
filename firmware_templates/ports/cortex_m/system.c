/* The port interface as far as all Cortex-M are alike. */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"
#include "small_code.h"

SMALL_CODE_BEGIN

static uint32_t clock_hz;

/* Armv8.1-M keeps where its loops begin and end in a cache, so that going round costs no branch; it
 * is off after reset (Arm DDI 0553, CCR.LOB). */
static void enable_loop_cache(void) {
#if defined(__ARM_FEATURE_MVE)
  REGISTER(0xE000ED14) |= 1u << 19; /* CCR: LOB */
  __asm volatile("dsb\n isb" ::: "memory");
#endif
}

void port_init(void) {
  enable_loop_cache();
  const struct chip_clocks clocks = chip_init();
  clock_hz = clocks.core_hz;
  console_init(clocks.console_hz);
  counter_init(clocks.core_hz);
}

uint32_t port_clock_hz(void) {
  return clock_hz;
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
  /* A UART that has taken the last byte still needs two characters' time to send it. */
  for (volatile uint32_t wait = clock_hz / APP_CONSOLE_BAUD * 20u; wait != 0; --wait) {
  }
  REGISTER(0xE000ED0C) = 0x05FA0004u; /* AIRCR: key, SYSRESETREQ */
  for (;;) {
  }
}

SMALL_CODE_END
