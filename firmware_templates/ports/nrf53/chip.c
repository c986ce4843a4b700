/* Nordic nRF5340, the application core in secure state, as it is after reset (nRF5340 Product
 * Specification 1.3.1; nrfx mdk/nrf5340_application.h). It stays at the 64 MHz of reset: 128 MHz
 * take workarounds for the chip's errata 42 and 64. */
#include "cortex_m.h"

#define CORE_HZ 64000000u
#define PERIPHERAL_HZ 16000000u
#define WAIT_TURNS 100000 /* tens of ms: the crystal starts in about 1 ms or never */

#define CACHE_ENABLE REGISTER(0x50001500)
#define CLOCK_TASKS_HFCLKSTART REGISTER(0x50005000)
#define CLOCK_EVENTS_HFCLKSTARTED REGISTER(0x50005100)

/* What the factory measured of this very chip, to be written where it says (FICR, TRIMCNF). */
#define TRIM_COUNT 32u
#define TRIM_UNUSED 0xFFFFFFFFu
struct trim {
  uint32_t address, value;
};
static const struct trim *const trims = (const struct trim *)0x00FF0300;

struct chip_clocks chip_init(void) {
  for (uint32_t i = 0; i < TRIM_COUNT && trims[i].address != TRIM_UNUSED; ++i) {
    REGISTER(trims[i].address) = trims[i].value;
  }
  CACHE_ENABLE = 1; /* off at reset, and then every fetch waits for the flash */
  CLOCK_EVENTS_HFCLKSTARTED = 0;
  CLOCK_TASKS_HFCLKSTART = 1; /* the crystal: the RC oscillator is too far off for a UART */
  for (int turn = 0; turn < WAIT_TURNS && CLOCK_EVENTS_HFCLKSTARTED == 0; ++turn) {
  }
  return (struct chip_clocks){.core_hz = CORE_HZ, .console_hz = PERIPHERAL_HZ};
}
