/* Cycle counters of the core: DWT CYCCNT where it counts, else SysTick.
 *
 * CYCCNT is widened to 64 bit when it is read, so one inference must take less than 2^32 cycles (25
 * s at 168 MHz). QEMU does not count in it, so a board with a DWT falls back to SysTick there: 24
 * bit, widened by its interrupt, which takes a dozen instructions every 16.7 million ticks.
 */
#include "app_config.h"
#include "cortex_m.h"
#include "port.h"
#include "small_code.h"

SMALL_CODE_BEGIN

#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define ICSR REGISTER(0xE000ED04)
#define ICSR_PENDSTSET (1u << 26)
#define SYSTICK_PERIOD 0x1000000u

static volatile uint32_t systick_turns;
static uint32_t counter_hz;

void SysTick_Handler(void);

void SysTick_Handler(void) {
  ++systick_turns;
}

static void systick_start(void) {
  SYST_RVR = SYSTICK_PERIOD - 1u;
  SYST_CVR = 0; /* any write clears it */
  SYST_CSR = 7; /* the core's clock, interrupt, enable */
}

/* SysTick counts down, and interrupts when it reaches 0. So ticks since the interrupt are minus the
 * value: 0 at 0, 1 at SYSTICK_PERIOD - 1. */
static uint64_t systick_read(void) {
  __asm volatile("cpsid i" ::: "memory");
  uint32_t turns = systick_turns;
  uint32_t value = SYST_CVR;
  if (ICSR & ICSR_PENDSTSET) { /* it turned meanwhile, before or after the value was read */
    value = SYST_CVR;
    ++turns;
  }
  __asm volatile("cpsie i" ::: "memory");
  return (uint64_t)turns << 24 | ((0u - value) & (SYSTICK_PERIOD - 1u));
}

#if defined(APP_COUNTER_DWT)

#define DEMCR REGISTER(0xE000EDFC)
#define DEMCR_TRCENA (1u << 24)
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CTRL_CYCCNTENA 1u
#define DWT_CYCCNT REGISTER(0xE0001004)
#define DWT_LAR REGISTER(0xE0001FB0)

static bool dwt_counts;

/* Only trying shows whether it counts: QEMU has the registers, but they read as 0. */
static bool dwt_start(void) {
  DEMCR |= DEMCR_TRCENA;
  DWT_LAR = 0xC5ACCE55u; /* Cortex-M7 locks its DWT against software */
  DWT_CYCCNT = 0;
  DWT_CTRL |= DWT_CTRL_CYCCNTENA;
  const uint32_t before = DWT_CYCCNT;
  for (volatile int wait = 0; wait < 16; ++wait) {
  }
  return DWT_CYCCNT != before;
}

void counter_init(uint32_t core_hz) {
  counter_hz = core_hz;
  dwt_counts = dwt_start();
  if (!dwt_counts) {
    systick_start();
  }
}

uint64_t port_counter(void) {
  static struct wide_counter cycles;
  return dwt_counts ? widen(&cycles, DWT_CYCCNT) : systick_read();
}

uint8_t port_counter_kind(void) {
  return dwt_counts ? PORT_COUNTER_DWT : PORT_COUNTER_SYSTICK;
}

#else

void counter_init(uint32_t core_hz) {
  counter_hz = core_hz;
  systick_start();
}

uint64_t port_counter(void) {
  return systick_read();
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_SYSTICK;
}

#endif

uint32_t port_counter_hz(void) {
  return counter_hz;
}

SMALL_CODE_END
