/* Raspberry Pi RP2040 (RP2040 datasheet, 2.14 to 2.19, 4.6 and 4.7).
 *
 * The chip starts on its ring oscillator, whose frequency nobody knows to better than a factor.
 * Boards have a crystal of 12 MHz: the reference clock is that, and the PLL makes the core's clock
 * of it. */
#include "app_config.h"
#include "cortex_m.h"
#include "rp2040.h"

#define CRYSTAL_HZ 12000000u
#define RING_HZ 6500000u  /* typical */
#define WAIT_TURNS 100000 /* tens of ms: the crystal starts in about 1 ms or never */

#define PLL_DIVIDER_1 6u
#define PLL_DIVIDER_2 2u
#define PLL_MULTIPLIER (APP_CLOCK_HZ / (CRYSTAL_HZ / (PLL_DIVIDER_1 * PLL_DIVIDER_2)))

#if APP_CLOCK_HZ % 1000000u != 0 || APP_CLOCK_HZ < 63000000u || APP_CLOCK_HZ > 133000000u
#error "port rp2040: clock_hz must be whole MHz from 63 to 133"
#elif APP_CONSOLE_ADDRESS != 0x40034000u
#error "port rp2040: console address must be that of UART0"
#endif

/* Each register again, where a write sets or clears the bits that are written (2.1.2). */
#define SET(address) REGISTER((address) + 0x2000u)
#define CLEAR(address) REGISTER((address) + 0x3000u)

#define CLK_REF_CTRL 0x40008030u
#define CLK_REF_SELECTED 0x40008038u
#define CLK_SYS_CTRL 0x4000803Cu
#define CLK_SYS_SELECTED 0x40008044u
#define CLK_PERI_CTRL 0x40008048u
#define CLK_REF_CTRL_XOSC 2u
#define CLK_SYS_CTRL_AUX 1u /* which is PLL_SYS after a reset */
#define CLK_PERI_CTRL_ENABLE (1u << 11)

#define RESETS_RESET 0x4000C000u
#define RESETS_DONE 0x4000C008u
#define RESET_IO_BANK0 (1u << 5)
#define RESET_PADS_BANK0 (1u << 8)
#define RESET_PLL_SYS (1u << 12)
#define RESET_TIMER (1u << 21)
#define RESET_UART0 (1u << 22)

#define XOSC_CTRL 0x40024000u
#define XOSC_STATUS 0x40024004u
#define XOSC_STARTUP 0x4002400Cu
#define XOSC_CTRL_ENABLE (0xFABu << 12 | 0xAA0u) /* 1 to 15 MHz */
#define XOSC_STATUS_STABLE (1u << 31)
#define XOSC_STARTUP_1_MS ((CRYSTAL_HZ / 1000u + 128u) / 256u)

#define PLL_CS 0x40028000u
#define PLL_PWR 0x40028004u
#define PLL_FBDIV 0x40028008u
#define PLL_PRIM 0x4002800Cu
#define PLL_CS_LOCK (1u << 31)
#define PLL_PWR_PD (1u << 0)
#define PLL_PWR_POSTDIVPD (1u << 3)
#define PLL_PWR_VCOPD (1u << 5)

#define WATCHDOG_TICK 0x4005802Cu /* divides the reference clock for the timer, whatever its name  \
                                   */
#define WATCHDOG_TICK_ENABLE (1u << 9)

/* UART0 comes out at GPIO0 and GPIO1, function 2. */
#define GPIO0_CTRL 0x40014004u
#define GPIO1_CTRL 0x4001400Cu
#define GPIO_FUNCTION_UART 2u
#define PADS_GPIO1 0x4001C008u
#define PADS_PULL_DOWN (1u << 2)
#define PADS_PULL_UP (1u << 3)

static bool wait_for(uint32_t address, uint32_t mask, uint32_t value) {
  for (int turn = 0; turn < WAIT_TURNS; ++turn) {
    if ((REGISTER(address) & mask) == value) {
      return true;
    }
  }
  return false;
}

static void out_of_reset(uint32_t blocks) {
  CLEAR(RESETS_RESET) = blocks;
  (void)wait_for(RESETS_DONE, blocks, blocks);
}

/* The core leaves the PLL, in case a reset of the core alone has left it there. */
static bool crystal_start(void) {
  CLEAR(CLK_SYS_CTRL) = CLK_SYS_CTRL_AUX;
  (void)wait_for(CLK_SYS_SELECTED, 1u, 1u);
  REGISTER(XOSC_STARTUP) = XOSC_STARTUP_1_MS;
  REGISTER(XOSC_CTRL) = XOSC_CTRL_ENABLE;
  if (!wait_for(XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE)) {
    return false;
  }
  REGISTER(CLK_REF_CTRL) = CLK_REF_CTRL_XOSC;
  return wait_for(CLK_REF_SELECTED, 1u << CLK_REF_CTRL_XOSC, 1u << CLK_REF_CTRL_XOSC);
}

/* Switches from the crystal to the PLL at APP_CLOCK_HZ. */
static bool pll_start(void) {
  SET(RESETS_RESET) = RESET_PLL_SYS;
  out_of_reset(RESET_PLL_SYS);
  REGISTER(PLL_CS) = 1; /* the crystal as it is */
  REGISTER(PLL_FBDIV) = PLL_MULTIPLIER;
  CLEAR(PLL_PWR) = PLL_PWR_PD | PLL_PWR_VCOPD;
  if (!wait_for(PLL_CS, PLL_CS_LOCK, PLL_CS_LOCK)) {
    return false;
  }
  REGISTER(PLL_PRIM) = PLL_DIVIDER_1 << 16 | PLL_DIVIDER_2 << 12;
  CLEAR(PLL_PWR) = PLL_PWR_POSTDIVPD;
  SET(CLK_SYS_CTRL) = CLK_SYS_CTRL_AUX;
  return wait_for(CLK_SYS_SELECTED, 1u << CLK_SYS_CTRL_AUX, 1u << CLK_SYS_CTRL_AUX);
}

struct chip_clocks chip_init(void) {
  uint32_t core_hz = RING_HZ;
  if (crystal_start()) {
    core_hz = pll_start() ? APP_CLOCK_HZ : CRYSTAL_HZ;
  }
  REGISTER(CLK_PERI_CTRL) = CLK_PERI_CTRL_ENABLE; /* the core's clock */
  REGISTER(WATCHDOG_TICK) = WATCHDOG_TICK_ENABLE | RP2040_TICK_CYCLES;
  out_of_reset(RESET_IO_BANK0 | RESET_PADS_BANK0 | RESET_TIMER | RESET_UART0);
  CLEAR(PADS_GPIO1) = PADS_PULL_DOWN;
  SET(PADS_GPIO1) = PADS_PULL_UP; /* so that an open line is an idle one */
  REGISTER(GPIO0_CTRL) = GPIO_FUNCTION_UART;
  REGISTER(GPIO1_CTRL) = GPIO_FUNCTION_UART;
  return (struct chip_clocks){.core_hz = core_hz, .console_hz = core_hz};
}
