/* L2_NORMALIZATION, int8, portable C: each row divided by its length.
 * Arithmetic: L2Normalization in
 * tensorflow/lite/kernels/internal/reference/integer_ops/l2normalization.h, and
 * GetInvSqrtQuantizedMultiplierExp in tensorflow/lite/kernels/internal/common.h.
 *
 * Memory: a row is summed up before it is written, and then each element is read before its result
 * is written; so the output may take the input's place.
 */
#ifndef TINYML_L2_NORMALIZATION_H
#define TINYML_L2_NORMALIZATION_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t rows;
  int32_t row; /* elements */
  int32_t input_zero_point;
} tinyml_l2_normalization_params;

/* A factor as multiplier / 2^31 * 2^shift. */
typedef struct {
  int32_t multiplier;
  int32_t shift;
} tinyml_l2_normalization_factor;

/* value * 2^exponent, saturating. */
TINYML_INLINE int32_t tinyml_l2_normalization_scale_up(int32_t value, int32_t exponent) {
  const int32_t limit = (INT32_C(1) << (31 - exponent)) - 1;
  return value > limit ? INT32_MAX : value < -limit - 1 ? INT32_MIN : value * (1 << exponent);
}

/* 1 / sqrt(square), by Newton's method on a number between 1/4 and 1. Qm.n: n bits behind the
 * point. */
TINYML_INLINE tinyml_l2_normalization_factor tinyml_l2_normalization_reciprocal(int32_t square) {
  tinyml_l2_normalization_factor factor = {INT32_MAX, 0};
  int32_t pairs, half, root = 1 << 28; /* Q3.28 */
  if (square <= 1) {
    return factor;
  }
  factor.shift = -11;
  for (; square >= 1 << 29; square /= 4) {
    --factor.shift;
  }
  pairs = (__builtin_clz((unsigned)square) - 1) / 2 - 1;
  factor.shift += pairs;
  square = (int32_t)((uint32_t)square << (2 * pairs));
  half = tinyml_rounding_shift_right(square >> 1, 1);
  for (int32_t i = 0; i < 5; ++i) {
    const int32_t power2 = tinyml_doubling_high_multiply(root, root); /* Q6.25 */
    const int32_t power3 =
        tinyml_l2_normalization_scale_up(/* Q9.22 */
                                         tinyml_doubling_high_multiply(power2, root),
                                         6);                                        /* to Q3.28 */
    const int32_t next = tinyml_doubling_high_multiply((1 << 28) + (1 << 27), root) /* Q6.25 */
                         - tinyml_doubling_high_multiply(half, power3);
    root = tinyml_l2_normalization_scale_up(next, 3);
  }
  factor.multiplier = tinyml_doubling_high_multiply(root, 1518500250); /* sqrt(1/2) */
  if (factor.shift > 0) {
    factor.multiplier = (int32_t)((uint32_t)factor.multiplier << factor.shift);
    factor.shift = 0;
  }
  return factor;
}

TINYML_KERNEL void tinyml_l2_normalization(const tinyml_l2_normalization_params *p,
                                           const int8_t *input, int8_t *output) {
  for (int32_t row = 0; row < p->rows; ++row) {
    tinyml_l2_normalization_factor factor;
    int32_t square = 0;
    for (int32_t i = 0; i < p->row; ++i) {
      const int32_t value = input[i] - p->input_zero_point;
      square += value * value;
    }
    factor = tinyml_l2_normalization_reciprocal(square);
    for (int32_t i = 0; i < p->row; ++i) {
      const int32_t value = input[i] - p->input_zero_point;
      /* The output's scale is 1/128. */
      const int32_t scaled = tinyml_scale(value, factor.multiplier, factor.shift + 7);
      output[i] = (int8_t)tinyml_clamp(scaled, -128, 127);
    }
    input += p->row;
    output += p->row;
  }
}

#endif
