/* A small firmware that tests the targets: start-up, three UARTs, and a command a letter.
 *
 *   E n bytes   echo n bytes
 *   L n         run a loop of 2 n instructions (n: u32) between two reads of SysTick or mcycle; the
 *               difference
 *   D n         the same with the DWT
 *   T n         the loop between two captures of the nRF51's TIMER0
 *   N           within one block: counter, 7 instructions (RISC-V: 4), counter, counter;
 * differences I           the same with the second read in an IT block X           a checksum of
 * some arithmetic C           the number of commands since power on, in RAM that a reset leaves
 * alone R  reset    H  hang    W  wfi    F  read where nothing is    P  write to flash S  overflow
 * the stack    B  breakpoint    J  jump where nothing is U  undefined instruction    Y  turn the
 * SysTick interrupt on
 *
 * Answers are 32-bit words, little-endian.
 */
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define UART(offset) REGISTER(CONSOLE_ADDRESS + (offset))
#define SYST_CSR REGISTER(0xE000E010)
#define SYST_RVR REGISTER(0xE000E014)
#define SYST_CVR REGISTER(0xE000E018)
#define DEMCR REGISTER(0xE000EDFC)
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CYCCNT REGISTER(0xE0001004)

#if defined(__riscv)
#define BREAKPOINT "ebreak"
#define UNDEFINED "unimp"
#define THUMB_BIT 0u
#else
#define BREAKPOINT "bkpt 7"
#define UNDEFINED "udf 0"
#define THUMB_BIT 1u
#endif

extern uint32_t _flash_start[], _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[],
    _stack_top[];

void Reset_Handler(void);
void start(void);
int main(void);

#if !defined(__riscv)
__attribute__((section(".isr_vector"), used)) const uintptr_t vectors[16] = {
    (uintptr_t)_stack_top,
    (uintptr_t)Reset_Handler,
};
#endif

__attribute__((section(".noinit"))) static uint32_t magic, commands;
static volatile uint32_t data_check = 0x600DDA7Au;

#if defined(__riscv)
__attribute__((section(".isr_vector"), naked, used)) void Reset_Handler(void) {
  __asm volatile("la sp, _stack_top\n j start\n");
}
#else
void Reset_Handler(void) {
  start();
}
#endif

__attribute__((used)) void start(void) {
#if defined(__ARM_FP)
  REGISTER(0xE000ED88) |= 0xFu << 20;
  __asm volatile("dsb\n isb" ::: "memory");
#endif
  for (uint32_t *from = _data_load, *to = _data_start; to < _data_end;) {
    *to++ = *from++;
  }
  for (uint32_t *to = _bss_start; to < _bss_end;) {
    *to++ = 0;
  }
  (void)main();
}

#if defined(CONSOLE_CMSDK_UART)
static void console_init(void) {
  UART(0x10) = 217;
  UART(0x08) = 3;
}
static int get(void) {
  return UART(0x04) & 2u ? (int)(UART(0x00) & 0xFFu) : -1;
}
static void put(uint32_t byte) {
  while (UART(0x04) & 1u) {
  }
  UART(0x00) = byte;
}
#elif defined(CONSOLE_STM32_USART)
static void console_init(void) {
  UART(0x08) = 0x200;
  UART(0x0C) = 1u << 13 | 1u << 3 | 1u << 2;
}
static int get(void) {
  return UART(0x00) & 0x20u ? (int)(UART(0x04) & 0xFFu) : -1;
}
static void put(uint32_t byte) {
  while (!(UART(0x00) & 0x80u)) {
  }
  UART(0x04) = byte;
}
#elif defined(CONSOLE_NS16550)
#define UART_BYTE(offset) (*(volatile uint8_t *)(uintptr_t)(CONSOLE_ADDRESS + (offset)))
static void console_init(void) {
  UART_BYTE(3) = 3;
}
static int get(void) {
  return UART_BYTE(5) & 1u ? (int)UART_BYTE(0) : -1;
}
static void put(uint32_t byte) {
  while (!(UART_BYTE(5) & 0x20u)) {
  }
  UART_BYTE(0) = (uint8_t)byte;
}
#else
static void console_init(void) {
  UART(0x500) = 4;
  UART(0x008) = 1;
  UART(0x000) = 1;
}
static int get(void) {
  if (UART(0x108) == 0) {
    return -1;
  }
  UART(0x108) = 0;
  return (int)(UART(0x518) & 0xFFu);
}
static void put(uint32_t byte) {
  UART(0x11C) = 0;
  UART(0x51C) = byte;
  while (UART(0x11C) == 0) {
  }
}
#endif

static uint32_t wait_byte(void) {
  int byte;
  do {
    byte = get();
  } while (byte < 0);
  return (uint32_t)byte;
}

static uint32_t wait_word(void) {
  uint32_t word = 0;
  for (int shift = 0; shift < 32; shift += 8) {
    word |= wait_byte() << shift;
  }
  return word;
}

static void put_word(uint32_t word) {
  for (int shift = 0; shift < 32; shift += 8) {
    put(word >> shift & 0xFFu);
  }
}

static void put_text(const char *text) {
  while (*text) {
    put((uint32_t)*text++);
  }
}

#if defined(__riscv)

/* 2 n instructions, then ret. */
__attribute__((naked, noinline, aligned(16))) static void loop(uint32_t n __attribute__((unused))) {
  __asm volatile("1: addi a0, a0, -1\n bnez a0, 1b\n ret\n");
}

static uint32_t mcycle(void) {
  uint32_t value;
  __asm volatile("csrr %0, mcycle" : "=r"(value));
  return value;
}

static uint32_t time_with_mcycle(uint32_t n) {
  const uint32_t before = mcycle();
  loop(n);
  return mcycle() - before;
}

/* Reads in one block, of both counters; the high halves are 0 so early. */
static void within_block(void) {
  uint32_t first, second, third, high;
  __asm volatile(".option push\n.option rvc\n"
                 " csrr %0, mcycle\n nop\n addi x0, x0, 100\n nop\n csrr %1, mcycle\n"
                 " csrr %2, minstret\n csrr %3, mcycleh\n"
                 ".option pop\n"
                 : "=&r"(first), "=&r"(second), "=&r"(third), "=&r"(high));
  put_word(second - first);
  put_word(third - second + high);
}

static uint32_t time_of_loop(uint32_t n) {
  return time_with_mcycle(n);
}

#else

/* 2 n instructions, then bx. Aligned, so that it is the same code for every compiler. */
__attribute__((naked, noinline, aligned(16))) static void loop(uint32_t n __attribute__((unused))) {
  __asm volatile(".syntax unified\n1: subs r0, #1\n bne 1b\n bx lr\n");
}

static uint32_t time_with(volatile uint32_t *counter, uint32_t n) {
  const uint32_t before = *counter;
  loop(n);
  return *counter - before;
}

static uint32_t timer0(void) {
  REGISTER(0x40008040) = 1;
  return REGISTER(0x40008540);
}

static uint32_t time_with_timer0(uint32_t n) {
  REGISTER(0x40008508) = 3;
  REGISTER(0x40008510) = 0;
  REGISTER(0x4000800C) = 1;
  REGISTER(0x40008000) = 1;
  const uint32_t before = timer0();
  loop(n);
  return timer0() - before;
}

static void within_block(void) {
#if !defined(__ARM_ARCH_6M__)
  uint32_t first, second, third;
  __asm volatile(".syntax unified\n"
                 " ldr %0, [%3]\n nop\n nop.w\n nop\n nop.w\n nop\n nop\n"
                 " ldr %1, [%3]\n ldr.w %2, [%3]\n"
                 : "=&r"(first), "=&r"(second), "=&r"(third)
                 : "r"(&DWT_CYCCNT));
  put_word(second - first);
  put_word(third - second);
#endif
}

static void within_it_block(void) {
#if !defined(__ARM_ARCH_6M__)
  uint32_t first, second = 0, third = 0;
  __asm volatile(".syntax unified\n"
                 " ldr %0, [%3]\n cmp %3, %3\n"
                 " itte eq\n nopeq\n ldreq %1, [%3]\n ldrne %1, [%3]\n"
                 " ldr %2, [%3]\n"
                 : "=&r"(first), "+&r"(second), "+&r"(third)
                 : "r"(&DWT_CYCCNT)
                 : "cc");
  put_word(second - first);
  put_word(third - second);
#endif
}

static uint32_t time_of_loop(uint32_t n) {
  return 0u - time_with(&SYST_CVR, n);
}

#endif

static uint32_t checksum(void) {
  static int8_t a[512];
  static volatile float scale = 1.25f;
  uint32_t state = 1, hash = 2166136261u;
  for (int i = 0; i < 512; ++i) {
    state = state * 1664525u + 1013904223u;
    a[i] = (int8_t)(state >> 24);
  }
  for (int i = 0; i < 512 - 16; ++i) {
    int32_t sum = 0;
    for (int k = 0; k < 16; ++k) {
      sum += a[i + k] * (a[k] + 3);
    }
    const int64_t product = (int64_t)sum * 1518500250 + (1 << 30);
    const int32_t scaled = (int32_t)(product >> 31) / 7 + (int32_t)((float)sum * scale);
    hash = (hash ^ (uint32_t)scaled) * 16777619u;
  }
  return hash ^ data_check;
}

static uint32_t overflow(uint32_t depth) {
  volatile uint32_t frame[64] = {depth};
  return depth == 0xFFFFFFFFu ? 0 : overflow(depth + 1) + frame[0];
}

static void fail(uint32_t command) {
  switch (command) {
  case 'H':
    for (;;) {
    }
  case 'W':
    __asm volatile("wfi");
    break;
  case 'F':
    put_word(REGISTER(0x30000004));
    break;
  case 'P':
    REGISTER((uint32_t)(uintptr_t)_flash_start + 4u * (data_check == 0)) = 0;
    break;
  case 'S':
    put_word(overflow(0));
    break;
  case 'B':
    __asm volatile(BREAKPOINT);
    break;
  case 'J':
    ((void (*)(void))(uintptr_t)(0x30000000u | THUMB_BIT))();
    break;
  case 'U':
    __asm volatile(UNDEFINED);
    break;
  case 'Y':
    SYST_CSR = 7;
    break;
  default:
    put_text("?");
  }
}

static void answer(uint32_t command) {
  switch (command) {
  case 'E':
    for (uint32_t left = wait_byte(); left != 0; --left) {
      put(wait_byte());
    }
    break;
  case 'L':
    put_word(time_of_loop(wait_word()));
    break;
  case 'N':
    within_block();
    break;
#if !defined(__riscv)
  case 'D':
    put_word(time_with(&DWT_CYCCNT, wait_word()));
    break;
  case 'T':
    put_word(time_with_timer0(wait_word()));
    break;
  case 'I':
    within_it_block();
    break;
#endif
  case 'X':
    put_word(checksum());
    break;
  case 'C':
    put_word(commands);
    break;
  case 'R':
#if defined(__riscv)
    REGISTER(0x00100000) = 0x7777u;
#else
    REGISTER(0xE000ED0C) = 0x05FA0004u;
#endif
    for (;;) {
    }
  default:
    fail(command);
  }
}

int main(void) {
  console_init();
#if !defined(__riscv)
  SYST_RVR = 0xFFFFFFu;
  SYST_CVR = 0;
  SYST_CSR = 5;
#endif
#if !defined(__ARM_ARCH_6M__) && !defined(__riscv)
  DEMCR |= 1u << 24;
  DWT_CYCCNT = 0;
  DWT_CTRL |= 1u;
#endif
  if (magic != 0xC0FFEE11u) {
    magic = 0xC0FFEE11u;
    commands = 0;
  }
  put_text("ready\n");
  for (;;) {
    const uint32_t command = wait_byte();
    ++commands;
    answer(command);
  }
}
