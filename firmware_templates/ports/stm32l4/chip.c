/* STM32L4+ up to 120 MHz (ST RM0432: FLASH, PWR, RCC, GPIO; addresses and bits as in ST's
 * cmsis_device_l4, stm32l4r5xx.h).
 *
 * The chip starts on its internal 4 MHz oscillator, MSI. The PLL is fed from the internal 16 MHz
 * one, HSI, and so is the console: that works on every board, and HSI's 1 % is good enough for a
 * UART.
 *
 * An emulator without clock registers reads them as 0, and its core runs at APP_CLOCK_HZ from the
 * start. A chip whose MSI is not ready while it runs from MSI cannot be; that is how we know.
 */
#include "app_config.h"
#include "cortex_m.h"

#define MSI_HZ 4000000u
#define HSI_HZ 16000000u
#define WAIT_TURNS 100000 /* tens of ms: a PLL locks in 40 us or never */

#if APP_CLOCK_HZ > 120000000u || APP_CLOCK_HZ <= 80000000u || APP_CLOCK_HZ % 2000000u != 0
#error "port stm32l4: clock_hz must be whole and even MHz from 82 to 120"
#elif APP_CONSOLE_ADDRESS != 0x40008000u
#error "port stm32l4: console address must be that of LPUART1"
#endif

#define FLASH_ACR REGISTER(0x40022000)
#define PWR_CR2 REGISTER(0x40007004)
#define PWR_CR5 REGISTER(0x40007080)
#define RCC_CR REGISTER(0x40021000)
#define RCC_CFGR REGISTER(0x40021008)
#define RCC_PLLCFGR REGISTER(0x4002100C)
#define RCC_AHB2ENR REGISTER(0x4002104C)
#define RCC_APB1ENR1 REGISTER(0x40021058)
#define RCC_APB1ENR2 REGISTER(0x4002105C)
#define RCC_CCIPR REGISTER(0x40021088)

#define CR_MSIRDY (1u << 1)
#define CR_HSION (1u << 8)
#define CR_HSIRDY (1u << 10)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_SW_PLL 3u
#define CFGR_SWS_MASK (3u << 2)
#define CFGR_SWS_PLL (3u << 2)
#define CFGR_AHB_BY_2 (8u << 4)
#define PLLCFGR_HSI 2u
#define PLLCFGR_R_ENABLE (1u << 24)
#define PLL_M 4u
#define PLL_R 2u
#define CR2_IOSV (1u << 9)
#define CR5_R1MODE (1u << 8)
#define CCIPR_LPUART1_MASK (3u << 10)
#define CCIPR_LPUART1_HSI (2u << 10)

/* LPUART1 on a Nucleo-144 comes out at PG7 and PG8, alternate function 8. */
#define GPIOG_MODER REGISTER(0x48001800)
#define GPIOG_PUPDR REGISTER(0x4800180C)
#define GPIOG_AFR(pin) REGISTER(0x48001820u + 4u * ((pin) / 8u))
#define CONSOLE_TX_PIN 7u
#define CONSOLE_RX_PIN 8u
#define CONSOLE_FUNCTION 8u

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t value) {
  for (int turn = 0; turn < WAIT_TURNS; ++turn) {
    if ((*address & mask) == value) {
      return true;
    }
  }
  return false;
}

/* Switches from MSI to the PLL at APP_CLOCK_HZ, by way of half of it, as the manual asks for
 * above 80 MHz. False: the chip still runs from MSI. */
static bool pll_start(void) {
  PWR_CR5 &= ~CR5_R1MODE; /* boost */
  FLASH_ACR = 0x705u;     /* 5 wait states are enough at any speed; caches and prefetch */
  RCC_PLLCFGR = PLLCFGR_HSI | (PLL_M - 1u) << 4 |
                APP_CLOCK_HZ / 1000000u * PLL_R / (HSI_HZ / 1000000u / PLL_M) << 8 |
                PLLCFGR_R_ENABLE | (PLL_R / 2u - 1u) << 25;
  RCC_CR |= CR_PLLON;
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  RCC_CFGR = CFGR_AHB_BY_2;
  RCC_CFGR = CFGR_AHB_BY_2 | CFGR_SW_PLL;
  const bool switched = wait_for(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL);
  for (volatile int wait = 0; wait < 100; ++wait) { /* 1 us at the least */
  }
  RCC_CFGR &= ~CFGR_AHB_BY_2;
  return switched;
}

static void set_bits(volatile uint32_t *address, uint32_t shift, uint32_t mask, uint32_t value) {
  *address = (*address & ~(mask << shift)) | value << shift;
}

static void pin_connect(uint32_t pin) {
  set_bits(&GPIOG_AFR(pin), 4u * (pin % 8u), 0xFu, CONSOLE_FUNCTION);
  set_bits(&GPIOG_PUPDR, 2u * pin, 3u, 1u); /* pulled up, so that an open line is an idle one */
  set_bits(&GPIOG_MODER, 2u * pin, 3u, 2u); /* alternate function */
}

struct chip_clocks chip_init(void) {
  uint32_t core_hz = APP_CLOCK_HZ;
  const bool has_clock_control = (RCC_CR & CR_MSIRDY) != 0;
  RCC_APB1ENR1 |= 1u << 28; /* PWR */
  (void)RCC_APB1ENR1;       /* two cycles until the clock is there */
  if (has_clock_control) {
    RCC_CR |= CR_HSION;
    if (!wait_for(&RCC_CR, CR_HSIRDY, CR_HSIRDY) || !pll_start()) {
      core_hz = MSI_HZ;
    }
  }
  PWR_CR2 |= CR2_IOSV; /* port G has a supply of its own */
  RCC_CCIPR = (RCC_CCIPR & ~CCIPR_LPUART1_MASK) | CCIPR_LPUART1_HSI;
  RCC_AHB2ENR |= 1u << 6;  /* port G */
  RCC_APB1ENR2 |= 1u << 0; /* LPUART1 */
  (void)RCC_APB1ENR2;
  pin_connect(CONSOLE_TX_PIN);
  pin_connect(CONSOLE_RX_PIN);
  return (struct chip_clocks){.core_hz = core_hz, .console_hz = HSI_HZ};
}
