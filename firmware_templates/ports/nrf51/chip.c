/* Nordic nRF51822 (nRF51 Series Reference Manual 3.0: CLOCK; nrfx mdk/nrf51.h): 16 MHz, fixed. */
#include "cortex_m.h"

#define CORE_HZ 16000000u
#define WAIT_TURNS 100000 /* tens of ms: the crystal starts in about 1 ms or never */

#define CLOCK_TASKS_HFCLKSTART REGISTER(0x40000000)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x40000100)

/* The chip starts on an RC oscillator that is off by up to 5 %, too much for a UART: take the
 * crystal. */
struct chip_clocks chip_init(void) {
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1;
  for (int turn = 0; turn < WAIT_TURNS && CLOCK_EVENTS_HFCLKSTARTED == 0; ++turn) {
  }
  return (struct chip_clocks){.core_hz = CORE_HZ, .console_hz = CORE_HZ};
}
