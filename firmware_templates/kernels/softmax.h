/* SOFTMAX, int8, portable C. Arithmetic: reference_ops::Softmax in
 * tensorflow/lite/kernels/internal/reference/softmax.h, and gemmlowp's Newton division. exp is a
 * table made by the host, as only 256 differences from a row's largest value exist.
 *
 * Memory: a row is read twice before its first result is written, and then each value just before
 * its own result; so the output may take the input's place.
 */
#ifndef TINYML_SOFTMAX_H
#define TINYML_SOFTMAX_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t rows;
  int32_t depth;
  int32_t table_size; /* exp is as good as zero for larger differences */
} tinyml_softmax_params;

/* 1 / x for x in [1, 2), given as x * 2^31; rounded, as Q0.31 (1 itself as the largest int32). */
TINYML_INLINE int32_t tinyml_reciprocal(uint32_t x) {
  const int32_t one = INT32_C(1) << 29; /* in Q2.29, as the guesses */
  const int32_t half = (int32_t)(x >> 1);
  int32_t guess =
      1515870810 + tinyml_doubling_high_multiply(half, -1010580540); /* (48 - 16 x) / 17 */
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t error = one - tinyml_doubling_high_multiply(half, guess);
    guess += 4 * tinyml_doubling_high_multiply(guess, error);
  }
  return guess >= 2 * one ? INT32_MAX : 2 * guess;
}

/* The sum of exp over a row, as Q12.19. At least 1, from the largest value itself. */
TINYML_INLINE uint32_t tinyml_softmax_sum(const tinyml_softmax_params *p, const int8_t *input,
                                          int32_t largest, const int32_t *table) {
  uint32_t sum = 0;
  for (int32_t i = 0; i < p->depth; ++i) {
    const int32_t difference = largest - input[i];
    if (difference < p->table_size) {
      sum += ((uint32_t)table[difference] + (1u << 11)) >> 12;
    }
  }
  return sum;
}

/* table: exp(-difference), as Q0.31. */
TINYML_KERNEL void tinyml_softmax(const tinyml_softmax_params *p, const int8_t *input,
                                  const int32_t *table, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    int32_t largest = INT8_MIN;
    for (int32_t i = 0; i < p->depth; ++i) {
      largest = input[i] > largest ? input[i] : largest;
    }
    const uint32_t sum = tinyml_softmax_sum(p, input, largest, table);
    const int32_t zeros = __builtin_clz(sum);
    const int32_t scale = tinyml_reciprocal(sum << zeros);
    const int32_t exponent = 35 - zeros; /* Q0.31 / (sum's power of two) to units of 1/256 */
    for (int32_t i = 0; i < p->depth; ++i) {
      const int32_t difference = largest - input[i];
      int32_t share = 0;
      /* Above 31, over 511 values are as large as the largest: each share rounds to zero. */
      if (difference < p->table_size && exponent <= 31) {
        share = tinyml_rounding_shift_right(tinyml_doubling_high_multiply(scale, table[difference]),
                                            exponent);
      }
      output[i] = (int8_t)tinyml_min(share - 128, 127);
    }
    input += p->depth;
    output += p->depth;
  }
}

#endif
