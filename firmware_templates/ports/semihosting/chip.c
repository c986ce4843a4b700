/* Any Cortex-M, with the clock that it starts on: nothing of the chip is touched. */
#include "app_config.h"
#include "cortex_m.h"

struct chip_clocks chip_init(void) {
  return (struct chip_clocks){.core_hz = APP_CLOCK_HZ, .console_hz = APP_CLOCK_HZ};
}
