/* Nordic nRF52 (nRF52840 Product Specification 1.7: NVMC, CLOCK; nrfx mdk/nrf52840.h): 64 MHz,
 * fixed; peripherals have 16 MHz. */
#include "cortex_m.h"

#define CORE_HZ 64000000u
#define PERIPHERAL_HZ 16000000u
#define WAIT_TURNS 100000 /* tens of ms: the crystal starts in about 1 ms or never */

#define CLOCK_TASKS_HFCLKSTART REGISTER(0x40000000)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100)
#define NVMC_ICACHECNF REGISTER(0x4001E540)

struct chip_clocks chip_init(void) {
  NVMC_ICACHECNF = 1; /* off at reset, and then every fetch waits for the flash */
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1; /* the crystal: the RC oscillator is off by up to 5 % */
  for (int turn = 0; turn < WAIT_TURNS && CLOCK_EVENTS_HFCLKSTARTED == 0; ++turn) {
  }
  return (struct chip_clocks){.core_hz = CORE_HZ, .console_hz = PERIPHERAL_HZ};
}
