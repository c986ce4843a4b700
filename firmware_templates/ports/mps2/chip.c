/* Arm MPS2 with a Cortex-M in its FPGA (Arm application notes AN385, AN386, AN500): core and
 * peripherals share one clock that runs from power on. */
#include "app_config.h"
#include "cortex_m.h"

struct chip_clocks chip_init(void) {
  return (struct chip_clocks){.core_hz = APP_CLOCK_HZ, .console_hz = APP_CLOCK_HZ};
}
