#include "print.h"

#include <stdbool.h>

#include "port.h"
#include "small_code.h"

SMALL_CODE_BEGIN

#define NUMBER_DIGITS_MAX 20u /* of 2^64 - 1 */

#define FLOAT_FRACTION_BITS 23
#define FLOAT_EXPONENT_BIAS 127
#define THOUSANDTHS_MAX (UINT64_C(1) << 40)

void print(const char *text) {
  size_t size = 0;
  while (text[size] != 0) {
    ++size;
  }
  port_write((const uint8_t *)text, size);
}

static void print_padded(uint64_t value, unsigned digits_min) {
  uint8_t digits[NUMBER_DIGITS_MAX];
  unsigned first = NUMBER_DIGITS_MAX;
  do {
    digits[--first] = (uint8_t)('0' + value % 10u);
    value /= 10u;
  } while (value != 0 || NUMBER_DIGITS_MAX - first < digits_min);
  port_write(digits + first, NUMBER_DIGITS_MAX - first);
}

void print_number(uint64_t value) {
  print_padded(value, 1);
}

void print_hex(uint32_t value, unsigned digits) {
  while (digits-- != 0) {
    const uint32_t digit = value >> 4u * digits & 0xFu;
    const uint8_t character = (uint8_t)(digit < 10u ? '0' + digit : 'a' + digit - 10u);
    port_write(&character, 1);
  }
}

static uint32_t bits_of(float value) {
  const union {
    float value;
    uint32_t bits;
  } same = {.value = value};
  return same.bits;
}

/* A thousand times a number below 2^40, rounded to nearest, ties to even. A float is an integer
 * times a power of two, so this is exact, and needs no arithmetic in double. */
static uint64_t thousandths_of(float value) {
  const uint32_t bits = bits_of(value);
  const int biased = (int)(bits >> FLOAT_FRACTION_BITS & 0xFFu);
  const int exponent = (biased != 0 ? biased : 1) - FLOAT_EXPONENT_BIAS - FLOAT_FRACTION_BITS;
  uint64_t fraction = bits & ((UINT32_C(1) << FLOAT_FRACTION_BITS) - 1u);
  if (biased != 0) {
    fraction |= UINT32_C(1) << FLOAT_FRACTION_BITS;
  }
  fraction *= 1000u;
  if (exponent >= 0) {
    return fraction << exponent;
  }
  const int shift = -exponent;
  if (shift > 40) { /* less than a tenth of a thousandth */
    return 0;
  }
  const uint64_t whole = fraction >> shift;
  const uint64_t rest = fraction - (whole << shift);
  const uint64_t half = UINT64_C(1) << (shift - 1);
  return whole + (rest > half || (rest == half && (whole & 1u) != 0) ? 1u : 0u);
}

void print_thousandths(float value) {
  const bool negative = bits_of(value) >> 31 != 0;
  const float size = negative ? -value : value;
  const bool small = size < (float)THOUSANDTHS_MAX;
  const uint64_t thousandths = small ? thousandths_of(size) : THOUSANDTHS_MAX * 1000u;
  print(negative ? "-" : "");
  print_number(thousandths / 1000u);
  print(".");
  print_padded(thousandths % 1000u, 3);
}

SMALL_CODE_END
