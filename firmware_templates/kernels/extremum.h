/* MAXIMUM and MINIMUM, int8, portable C. Semantics: MaximumMinimumBroadcastSlow in
 * tensorflow/lite/kernels/internal/reference/maximum_minimum.h.
 *
 * Memory: each element is read before its result is written, so the output may take the place of
 * an input that is not repeated.
 */
#ifndef TINYML_EXTREMUM_H
#define TINYML_EXTREMUM_H

#include "tinyml_elementwise.h"

typedef struct {
  tinyml_broadcast walk;
  int32_t maximum; /* 1: the larger of two; 0: the smaller */
} tinyml_extremum_params;

TINYML_INLINE void tinyml_extremum_row(const tinyml_extremum_params *p, const int8_t *input1,
                                       const int8_t *input2, int8_t *output) {
  const int32_t first1 = *input1, first2 = *input2;
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int32_t a = p->walk.row_step1 ? input1[i] : first1;
    const int32_t b = p->walk.row_step2 ? input2[i] : first2;
    output[i] = (int8_t)((p->maximum ? a > b : a < b) ? a : b);
  }
}

TINYML_KERNEL void tinyml_extremum(const tinyml_extremum_params *p, const int8_t *input1,
                                   const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_extremum_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
