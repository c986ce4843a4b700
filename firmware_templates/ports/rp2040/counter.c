/* Cycles without an interrupt: SysTick has the low 24 bits, and the timer, which counts
 * microseconds of the same crystal, tells how often it has turned (RP2040 datasheet, 4.6; Armv6-M
 * ARM, B3.3). */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"
#include "rp2040.h"

#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define SYST_CSR_CORE_CLOCK_ENABLE 5u
#define SYSTICK_PERIOD 0x1000000u

#define TIMER_RAW_HIGH REGISTER(0x40054024)
#define TIMER_RAW_LOW REGISTER(0x40054028)

static uint32_t counter_hz;
static uint32_t cycles_a_tick; /* of the core; a whole number, as both come from one oscillator */
static uint64_t difference;    /* of SysTick's cycles to the timer's, at the start */

static uint64_t timer_cycles(void) {
  uint32_t high = TIMER_RAW_HIGH;
  uint32_t low = TIMER_RAW_LOW;
  const uint32_t again = TIMER_RAW_HIGH;
  if (again != high) { /* the low half has turned meanwhile */
    high = again;
    low = TIMER_RAW_LOW;
  }
  return ((uint64_t)high << 32 | low) * cycles_a_tick;
}

/* SysTick counts down. */
static uint32_t systick_cycles(void) {
  return (0u - SYST_CVR) & (SYSTICK_PERIOD - 1u);
}

void counter_init(uint32_t core_hz) {
  counter_hz = core_hz;
  cycles_a_tick = core_hz == APP_CLOCK_HZ ? APP_CLOCK_HZ / 1000000u : RP2040_TICK_CYCLES;
  SYST_RVR = SYSTICK_PERIOD - 1u;
  SYST_CVR = 0; /* any write clears it */
  SYST_CSR = SYST_CSR_CORE_CLOCK_ENABLE;
  difference = systick_cycles() - timer_cycles();
}

/* The timer is off by some microseconds, SysTick by a multiple of 2^24 cycles: of the counts that
 * SysTick allows, the one next to the timer's. */
uint64_t port_counter(void) {
  const uint64_t about = timer_cycles() + difference;
  const uint32_t ahead = (systick_cycles() - (uint32_t)about) & (SYSTICK_PERIOD - 1u);
  return ahead < SYSTICK_PERIOD / 2u ? about + ahead : about - (SYSTICK_PERIOD - ahead);
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_SYSTICK;
}

uint32_t port_counter_hz(void) {
  return counter_hz;
}
