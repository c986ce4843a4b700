/* TIMER0 as a cycle counter: the nRF51's Cortex-M0 has neither DWT nor SysTick, but this 32 bit
 * timer counts the same 16 MHz as the core (nRF51 Series Reference Manual 3.0, chapter 18). */
#include "cortex_m.h"
#include "port.h"

#define TIMER_TASKS_START REGISTER(0x40008000)
#define TIMER_TASKS_CLEAR REGISTER(0x4000800C)
#define TIMER_TASKS_CAPTURE_0 REGISTER(0x40008040)
#define TIMER_BITMODE REGISTER(0x40008508)
#define TIMER_PRESCALER REGISTER(0x40008510)
#define TIMER_CC_0 REGISTER(0x40008540)

#define BITMODE_32 3u

static uint32_t counter_hz;

void counter_init(uint32_t core_hz) {
  counter_hz = core_hz;
  TIMER_BITMODE = BITMODE_32;
  TIMER_PRESCALER = 0;
  TIMER_TASKS_CLEAR = 1;
  TIMER_TASKS_START = 1;
}

uint64_t port_counter(void) {
  static struct wide_counter ticks;
  TIMER_TASKS_CAPTURE_0 = 1;
  return widen(&ticks, TIMER_CC_0);
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_NRF_TIMER;
}

uint32_t port_counter_hz(void) {
  return counter_hz;
}
