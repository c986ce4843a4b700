/* Text on the console. */
#ifndef PRINT_H
#define PRINT_H

#include <stdint.h>

void print(const char *text);

/* In decimal. */
void print_number(uint64_t value);

/* As so many digits. */
void print_hex(uint32_t value, unsigned digits);

/* As printf's %.3f, to the digit; but what is 2^40 and more, or no number, as 1099511627776.000. */
void print_thousandths(float value);

#endif
