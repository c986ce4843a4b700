/* QUANTIZE, float32 to int8. Arithmetic: reference_ops::AffineQuantize in
 * tensorflow/lite/kernels/internal/reference/quantize.h.
 *
 * Memory: each element is read before its result, a quarter of its size, is written; so the output
 * may take the input's place.
 */
#ifndef TINYML_QUANTIZE_H
#define TINYML_QUANTIZE_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t elements;
  float scale;
  int32_t zero_point;
} tinyml_quantize_params;

/* To the nearest integer, ties away from zero. What is beyond int8 for any zero point is limited
 * first, as its conversion would be undefined; not a number becomes 0. */
TINYML_INLINE int32_t tinyml_round(float value) {
  if (!(value > -256.0f)) {
    return value <= -256.0f ? -256 : 0;
  }
  if (value >= 256.0f) {
    return 256;
  }
  const int32_t whole = (int32_t)value;
  const float rest = value - (float)whole; /* exact */
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

TINYML_KERNEL void tinyml_quantize(const tinyml_quantize_params *p, const float *input,
                                   int8_t *output) {
  for (int32_t i = 0; i < p->elements; ++i) {
    const int32_t stored = tinyml_round(input[i] / p->scale) + p->zero_point;
    output[i] = (int8_t)tinyml_clamp(stored, -128, 127);
  }
}

#endif
