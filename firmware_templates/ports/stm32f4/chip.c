/* STM32F405, F407, F446 and their relatives up to 168 MHz (ST RM0090 and RM0390: FLASH, RCC,
 * GPIO; addresses and bits as in ST's cmsis_device_f4).
 *
 * The chip starts on its internal 16 MHz oscillator, HSI. The PLL is fed from there too and not
 * from a crystal: that works on every board, and HSI's 1 % is good enough for a UART; counts are in
 * cycles anyway.
 *
 * QEMU 7.2 has no clock registers for this chip, they read as 0, and its core runs at APP_CLOCK_HZ
 * from the start. A chip whose HSI is not ready while it runs from HSI cannot be; that is how we
 * know.
 */
#include "app_config.h"
#include "cortex_m.h"

#define HSI_HZ 16000000u
#define PLL_INPUT_HZ 2000000u
#define WAIT_TURNS 100000 /* tens of ms: a PLL locks in 0.3 ms or never */

#if APP_CLOCK_HZ > 168000000u || APP_CLOCK_HZ < 12500000u || APP_CLOCK_HZ % 1000000u != 0
#error "port stm32f4: clock_hz must be whole MHz from 13 to 168"
#elif APP_CLOCK_HZ >= 50000000u
#define PLL_P 2u
#else
#define PLL_P 8u
#endif

#define FLASH_ACR REGISTER(0x40023C00)
#define RCC_CR REGISTER(0x40023800)
#define RCC_PLLCFGR REGISTER(0x40023804)
#define RCC_CFGR REGISTER(0x40023808)
#define RCC_AHB1ENR REGISTER(0x40023830)
#define RCC_APB1ENR REGISTER(0x40023840)
#define RCC_APB2ENR REGISTER(0x40023844)

#define CR_HSIRDY (1u << 1)
#define CR_PLLON (1u << 24)
#define CR_PLLRDY (1u << 25)
#define CFGR_SW_PLL 2u
#define CFGR_SWS_MASK (3u << 2)
#define CFGR_SWS_PLL (2u << 2)
#define CFGR_APB1_BY_4 (5u << 10)
#define CFGR_APB2_BY_2 (4u << 13)

/* Where the console's USART comes out, always alternate function 7 or 8. */
#if APP_CONSOLE_ADDRESS == 0x40011000u /* USART1: PB6 and PB7, on a Netduino the pins SC and SD */
#define CONSOLE_GPIO 1u
#define CONSOLE_TX_PIN 6u
#define CONSOLE_RX_PIN 7u
#define CONSOLE_FUNCTION 7u
#define CONSOLE_ENABLE() (RCC_APB2ENR |= 1u << 4)
#define CONSOLE_CLOCK_DIVIDER 2u
#elif APP_CONSOLE_ADDRESS == 0x40004400u /* USART2: PA2 and PA3 */
#define CONSOLE_GPIO 0u
#define CONSOLE_TX_PIN 2u
#define CONSOLE_RX_PIN 3u
#define CONSOLE_FUNCTION 7u
#define CONSOLE_ENABLE() (RCC_APB1ENR |= 1u << 17)
#define CONSOLE_CLOCK_DIVIDER 4u
#elif APP_CONSOLE_ADDRESS == 0x40011400u /* USART6: PC6 and PC7 */
#define CONSOLE_GPIO 2u
#define CONSOLE_TX_PIN 6u
#define CONSOLE_RX_PIN 7u
#define CONSOLE_FUNCTION 8u
#define CONSOLE_ENABLE() (RCC_APB2ENR |= 1u << 5)
#define CONSOLE_CLOCK_DIVIDER 2u
#else
#error "port stm32f4: console address must be that of USART1, USART2 or USART6"
#endif

#define GPIO_BASE (0x40020000u + 0x400u * CONSOLE_GPIO)
#define GPIO_MODER REGISTER(GPIO_BASE + 0x00u)
#define GPIO_PUPDR REGISTER(GPIO_BASE + 0x0Cu)
#define GPIO_AFR(pin) REGISTER(GPIO_BASE + 0x20u + 4u * ((pin) / 8u))

static bool wait_for(volatile uint32_t *address, uint32_t mask, uint32_t value) {
  for (int turn = 0; turn < WAIT_TURNS; ++turn) {
    if ((*address & mask) == value) {
      return true;
    }
  }
  return false;
}

/* Switches from HSI to the PLL at APP_CLOCK_HZ. False: the chip still runs from HSI. */
static bool pll_start(void) {
  FLASH_ACR =
      0x705u; /* 5 wait states are enough at any speed; caches and prefetch hide most of them */
  RCC_CFGR = CFGR_APB1_BY_4 | CFGR_APB2_BY_2;
  RCC_PLLCFGR =
      HSI_HZ / PLL_INPUT_HZ | (APP_CLOCK_HZ / 1000000u * PLL_P / (PLL_INPUT_HZ / 1000000u)) << 6 |
      (PLL_P / 2u - 1u) << 16 | 7u << 24 | 2u << 28; /* PLLR of the F446, reserved elsewhere */
  RCC_CR |= CR_PLLON;
  if (!wait_for(&RCC_CR, CR_PLLRDY, CR_PLLRDY)) {
    return false;
  }
  RCC_CFGR |= CFGR_SW_PLL;
  return wait_for(&RCC_CFGR, CFGR_SWS_MASK, CFGR_SWS_PLL);
}

static void set_bits(volatile uint32_t *address, uint32_t shift, uint32_t mask, uint32_t value) {
  *address = (*address & ~(mask << shift)) | value << shift;
}

static void pin_connect(uint32_t pin) {
  set_bits(&GPIO_AFR(pin), 4u * (pin % 8u), 0xFu, CONSOLE_FUNCTION);
  set_bits(&GPIO_PUPDR, 2u * pin, 3u, 1u); /* pulled up, so that an open line is an idle one */
  set_bits(&GPIO_MODER, 2u * pin, 3u, 2u); /* alternate function */
}

struct chip_clocks chip_init(void) {
  uint32_t core_hz = APP_CLOCK_HZ;
  const bool has_clock_control = (RCC_CR & CR_HSIRDY) != 0;
  if (has_clock_control && !pll_start()) {
    core_hz = HSI_HZ;
  }
  RCC_AHB1ENR |= 1u << CONSOLE_GPIO;
  CONSOLE_ENABLE();
  (void)RCC_AHB1ENR; /* two cycles until the clock is there (ST ES0182, delay after enabling a
                        clock) */
  pin_connect(CONSOLE_TX_PIN);
  pin_connect(CONSOLE_RX_PIN);
  return (struct chip_clocks){.core_hz = core_hz, .console_hz = core_hz / CONSOLE_CLOCK_DIVIDER};
}
