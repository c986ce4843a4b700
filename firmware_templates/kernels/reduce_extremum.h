/* REDUCE_MAX and REDUCE_MIN, int8, portable C: over any dimensions, four outputs at a time.
 * Semantics: ReduceGeneric in tensorflow/lite/kernels/internal/reference/reduce.h.
 *
 * Memory: an output lies at or below the first element that it is made of, and outputs come in
 * order; so the output may take the input's place.
 */
#ifndef TINYML_REDUCE_EXTREMUM_H
#define TINYML_REDUCE_EXTREMUM_H

#include "tinyml_reduction.h"

typedef struct {
  tinyml_reduction walk;
  int32_t maximum; /* 1: the largest value; 0: the smallest */
} tinyml_reduce_extremum_params;

/* Of `lanes` (4 or 1) neighbours along the innermost dimension that is kept. */
TINYML_INLINE void tinyml_reduce_extremum_lanes(const tinyml_reduce_extremum_params *p,
                                                const int8_t *input, int32_t lanes,
                                                int8_t *output) {
  const tinyml_reduction *w = &p->walk;
  const int32_t lane = w->kept_step[2];
  const int32_t start = p->maximum ? -128 : 127;
  int32_t found[4] = {start, start, start, start};
  for (int32_t a = 0; a < w->reduced[0]; ++a) {
    for (int32_t b = 0; b < w->reduced[1]; ++b) {
      int32_t index = a * w->reduced_step[0] + b * w->reduced_step[1];
      for (int32_t c = 0; c < w->reduced[2]; ++c) {
        for (int32_t i = 0; i < lanes; ++i) {
          const int32_t value = input[index + i * lane];
          found[i] = (p->maximum ? value > found[i] : value < found[i]) ? value : found[i];
        }
        index += w->reduced_step[2];
      }
    }
  }
  for (int32_t i = 0; i < lanes; ++i) {
    output[i] = (int8_t)found[i];
  }
}

TINYML_REDUCTION_KERNEL(tinyml_reduce_extremum)

#endif
