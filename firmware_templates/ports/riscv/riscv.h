/* What the files of a RISC-V port share: registers, symbols of the linker script, and the parts
 * that differ from chip to chip. */
#ifndef RISCV_H
#define RISCV_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#define REGISTER_BYTE(address) (*(volatile uint8_t *)(uintptr_t)(address))

/* link.ld.j2 */
extern uint32_t _ram_start[], _stack_limit[], _stack_top[];
extern uint32_t _data_load[], _data_start[], _data_end[], _bss_start[], _bss_end[];

/* Unused stack is filled with this word. */
#define STACK_PAINT 0xC5C5C5C5u

/* Brings up what the chip needs beyond its reset state. */
void chip_init(void);

/* Resets the chip. Does not return. */
void chip_reset(void);

/* The console: also has port_read and port_write. */
void console_init(uint32_t input_hz);

#endif
