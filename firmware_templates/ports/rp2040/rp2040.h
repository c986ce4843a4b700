/* What the files of this port share. */
#ifndef RP2040_H
#define RP2040_H

/* Cycles of the reference clock in a tick of the timer: 1 us of the crystal's 12 MHz. */
#define RP2040_TICK_CYCLES 12u

#endif
