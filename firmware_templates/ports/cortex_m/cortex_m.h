/* What the files of a Cortex-M port share: registers, symbols of the linker script, and the three
 * parts that differ from chip to chip. Addresses: Armv6-M and Armv7-M Architecture Reference
 * Manuals. */
#ifndef CORTEX_M_H
#define CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* link.ld.j2 */
extern uint32_t _ram_start[], _stack_limit[], _stack_top[];
extern uint32_t _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

/* Unused stack is filled with this word. */
#define STACK_PAINT 0xC5C5C5C5u

/* The chip: brings its clocks up and connects the console's pins. */
struct chip_clocks {
  uint32_t core_hz;    /* of the core, SysTick and DWT */
  uint32_t console_hz; /* what the console's baud rate is divided from */
};
struct chip_clocks chip_init(void);

/* The console: also has port_read and port_write. */
void console_init(uint32_t input_hz);

/* The counter: also has port_counter, port_counter_kind and port_counter_hz. */
void counter_init(uint32_t core_hz);

/* Widens a 32 bit counter that counts up. Right as long as it is read at least once a turn. */
struct wide_counter {
  uint32_t last, turns;
};

static inline uint64_t widen(struct wide_counter *counter, uint32_t now) {
  if (now < counter->last) {
    ++counter->turns;
  }
  counter->last = now;
  return (uint64_t)counter->turns << 32 | now;
}

#endif
