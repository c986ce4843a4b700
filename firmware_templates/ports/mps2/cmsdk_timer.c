/* Timer 0 of the Cortex-M System Design Kit (Arm DDI 0479, 4.4) as a cycle counter, for cores
 * without a DWT: 32 bits, counting down at the core's clock. */
#include "cortex_m.h"
#include "port.h"

#define TIMER_CTRL REGISTER(0x40000000)
#define TIMER_VALUE REGISTER(0x40000004)
#define TIMER_RELOAD REGISTER(0x40000008)
#define CTRL_ENABLE 1u

static uint32_t counter_hz;

void counter_init(uint32_t core_hz) {
  counter_hz = core_hz;
  TIMER_CTRL = 0;
  TIMER_RELOAD = 0xFFFFFFFFu;
  TIMER_VALUE = 0xFFFFFFFFu;
  TIMER_CTRL = CTRL_ENABLE;
}

uint64_t port_counter(void) {
  static struct wide_counter ticks;
  return widen(&ticks, ~TIMER_VALUE);
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_CMSDK_TIMER;
}

uint32_t port_counter_hz(void) {
  return counter_hz;
}
