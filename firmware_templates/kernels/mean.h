/* MEAN and SUM, int8, portable C: sums over any dimensions, four outputs at a time.
 * Arithmetic: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h; the
 * division by the number of elements is part of the multiplier.
 *
 * Memory: an output lies at or below the first element that it sums up, and outputs come in order;
 * so the output may take the input's place.
 */
#ifndef TINYML_MEAN_H
#define TINYML_MEAN_H

#include "tinyml_reduction.h"

typedef struct {
  tinyml_reduction walk;
  int32_t zero_sum; /* of as many zero points as there are reduced elements */
  int32_t multiplier;
  int32_t shift;
  int32_t output_zero_point;
} tinyml_mean_params;

/* Writes the means of `lanes` (4 or 1) neighbours along the innermost dimension that is kept. */
TINYML_INLINE void tinyml_mean_lanes(const tinyml_mean_params *p, const int8_t *input,
                                     int32_t lanes, int8_t *output) {
  const tinyml_reduction *w = &p->walk;
  const int32_t lane = w->kept_step[2];
  int32_t sum[4] = {0, 0, 0, 0};
  for (int32_t a = 0; a < w->reduced[0]; ++a) {
    for (int32_t b = 0; b < w->reduced[1]; ++b) {
      int32_t index = a * w->reduced_step[0] + b * w->reduced_step[1];
      for (int32_t c = 0; c < w->reduced[2]; ++c) {
        for (int32_t i = 0; i < lanes; ++i) {
          sum[i] += input[index + i * lane];
        }
        index += w->reduced_step[2];
      }
    }
  }
  for (int32_t i = 0; i < lanes; ++i) {
    const int32_t mean = tinyml_scale(sum[i] - p->zero_sum, p->multiplier, p->shift);
    output[i] = (int8_t)tinyml_clamp(mean + p->output_zero_point, -128, 127);
  }
}

TINYML_REDUCTION_KERNEL(tinyml_mean)

#endif
