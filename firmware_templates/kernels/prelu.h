/* PRELU, int8, portable C: values below zero times a slope of their own.
 * Arithmetic: BroadcastPrelu4DSlow in tensorflow/lite/kernels/internal/reference/prelu.h.
 *
 * Memory: each element is read before its result is written, so the output may take the place of
 * an input that is not repeated.
 */
#ifndef TINYML_PRELU_H
#define TINYML_PRELU_H

#include "tinyml_elementwise.h"

typedef struct {
  tinyml_broadcast walk;
  tinyml_rescaling positive; /* from the input to the output; with the input's zero point */
  tinyml_rescaling negative; /* from input x slope to the output; with the slopes' zero point */
  int32_t output_zero_point;
} tinyml_prelu_params;

/* value: at most 16 bits. The host sees to it that it fits 31 when shifted to the left. */
TINYML_INLINE int32_t tinyml_prelu_rescale(const tinyml_rescaling *r, int32_t value) {
  const int32_t left = r->shift > 0 ? r->shift : 0;
  const int32_t product = tinyml_doubling_high_multiply(value * (1 << left), r->multiplier);
  return tinyml_shift_right_small(product, left - r->shift);
}

TINYML_INLINE void tinyml_prelu_row(const tinyml_prelu_params *p, const int8_t *input,
                                    const int8_t *slopes, int8_t *output) {
  const int32_t first = *input, first_slope = *slopes;
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int32_t value = (p->walk.row_step1 ? input[i] : first) - p->positive.zero_point;
    const int32_t slope = (p->walk.row_step2 ? slopes[i] : first_slope) - p->negative.zero_point;
    const int32_t scaled = value >= 0 ? tinyml_prelu_rescale(&p->positive, value)
                                      : tinyml_prelu_rescale(&p->negative, value * slope);
    output[i] = (int8_t)tinyml_clamp(scaled + p->output_zero_point, -128, 127);
  }
}

TINYML_KERNEL void tinyml_prelu(const tinyml_prelu_params *p, const int8_t *input,
                                const int8_t *slopes, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_prelu_row(p, input, slopes, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input, &slopes));
}

#endif
