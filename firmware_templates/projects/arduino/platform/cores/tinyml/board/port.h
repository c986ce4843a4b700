/* The port of the board, under names of its own: on top of this core a benchmark sketch brings
 * another one. */
#ifndef BOARD_PORT_H
#define BOARD_PORT_H

#define port_init board_init
#define port_read board_read
#define port_write board_write
#define port_counter board_counter
#define port_counter_kind board_counter_kind
#define port_counter_hz board_counter_hz
#define port_clock_hz board_clock_hz
#define port_stack_bytes board_stack_bytes
#define port_stack_high_water board_stack_high_water
#define port_reset board_reset

#include "port_functions.h"

#endif
