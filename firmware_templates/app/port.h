/* What the benchmark application asks of a chip. The folders of ports/ implement it. */
#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  PORT_COUNTER_NONE = 0,
  PORT_COUNTER_DWT = 1,
  PORT_COUNTER_SYSTICK = 2,
  PORT_COUNTER_NRF_TIMER = 3,
  PORT_COUNTER_ESP_CPU = 4, /* the cycle counter of an ESP32's core, Xtensa or RISC-V */
  PORT_COUNTER_MICROS = 5,  /* microseconds, where a framework gives no more */
  PORT_COUNTER_MCYCLE = 6,  /* of a RISC-V core */
  PORT_COUNTER_CMSDK_TIMER = 7
};

enum { PORT_EXCEPTION_RISCV = 64 };

/* What is known of a crash. Where the core cannot say, a field is 0. */
struct port_fault {
  uint32_t exception;       /* number of the exception; of a RISC-V core, + PORT_EXCEPTION_RISCV */
  uint32_t program_counter; /* of the instruction that failed */
  uint32_t link_register;
  uint32_t status;  /* the core's fault status register (Armv7-M: CFSR) */
  uint32_t address; /* the address that could not be accessed */
  uint32_t stack_pointer;
  uint32_t stack_limit; /* a stack pointer below it has run over */
};

/* Console and counter. Runs once, when .data and .bss are set up. */
void port_init(void);

/* The next received byte, or -1 when none waits. Does not block, except where nothing else could
 * run. */
int port_read(void);

/* Returns when the last byte has been handed to the console. */
void port_write(const uint8_t *data, size_t size);

/* Ticks since port_init. Never runs backwards. */
uint64_t port_counter(void);

/* One of PORT_COUNTER_..., the counter that is really in use. */
uint8_t port_counter_kind(void);

/* Ticks of the counter, and cycles of the core, in a second. */
uint32_t port_counter_hz(void);
uint32_t port_clock_hz(void);

/* Bytes of stack there are, and the most that were ever in use. Equal when the stack has run over.
 */
uint32_t port_stack_bytes(void);
uint32_t port_stack_high_water(void);

/* System reset. Does not return. */
void port_reset(void);

#ifdef __cplusplus
}
#endif

#endif
