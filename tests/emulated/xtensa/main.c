/* Runs a model on the inputs of inputs.h, and writes all outputs to the host. */
#include <stddef.h>
#include <stdint.h>

#include "inputs.h"

void semihosting_write(const void *bytes, size_t size);

/* What gcc calls by itself. */
void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    ((volatile char *)to)[i] = ((const char *)from)[i];
  }
  return to;
}

void *memset(void *to, int value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    ((volatile char *)to)[i] = (char)value;
  }
  return to;
}

/* Debian's libgcc for the lx106 lacks what an ESP8266 has in its ROM: products of 64 bits and
 * divisions, which the cores of an ESP32 have as instructions. */
uint32_t __udivsi3(uint32_t dividend, uint32_t divisor);
uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
  uint32_t quotient = 0, rest = 0;
  for (int bit = 31; bit >= 0; --bit) {
    rest = rest << 1 | (dividend >> bit & 1u);
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1u << bit;
    }
  }
  return quotient;
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor);
uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
  return dividend - __udivsi3(dividend, divisor) * divisor;
}

int64_t __muldi3(int64_t a, int64_t b);
int64_t __muldi3(int64_t a, int64_t b) {
  const uint32_t a0 = (uint32_t)a, b0 = (uint32_t)b;
  const uint32_t a_low = a0 & 0xFFFFu, a_high = a0 >> 16, b_low = b0 & 0xFFFFu, b_high = b0 >> 16;
  const uint32_t low = a_low * b_low, middle = a_high * b_low + (low >> 16);
  const uint32_t other = a_low * b_high + (middle & 0xFFFFu);
  uint32_t high = a_high * b_high + (middle >> 16) + (other >> 16);
  high += a0 * (uint32_t)((uint64_t)b >> 32) + b0 * (uint32_t)((uint64_t)a >> 32);
  return (int64_t)((uint64_t)high << 32 | (other << 16) | (low & 0xFFFFu));
}

int main(void) {
  static int32_t arena[(MODEL(ARENA_BYTES) + 3u) / 4u];
  for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; ++i) {
    if (model_init(arena, sizeof arena) != 0) {
      return 1;
    }
    memcpy(model_input(0), inputs[i], sizeof inputs[i]);
    if (model_invoke() != 0) {
      return 2;
    }
    semihosting_write(model_output(0), MODEL(OUTPUT_0_BYTES));
  }
  return 0;
}
