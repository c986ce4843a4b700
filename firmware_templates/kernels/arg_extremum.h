/* ARG_MAX and ARG_MIN, int8, portable C: where along an axis the largest or smallest value is, the
 * first of equals. Semantics: tensorflow/lite/kernels/internal/reference/arg_min_max.h.
 *
 * Memory: all values along the axis are read before the index is written. Indices have four bytes;
 * the host finds out how far above the output the input must start.
 */
#ifndef TINYML_ARG_EXTREMUM_H
#define TINYML_ARG_EXTREMUM_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t outer;   /* product of the dimensions before the axis */
  int32_t size;    /* of the axis */
  int32_t inner;   /* product of the dimensions behind it */
  int32_t maximum; /* 1: the largest value; 0: the smallest */
} tinyml_arg_extremum_params;

TINYML_KERNEL void tinyml_arg_extremum(const tinyml_arg_extremum_params *p, const int8_t *input,
                                       int32_t *output) {
  for (int32_t outer = 0; outer < p->outer; ++outer) {
    for (int32_t inner = 0; inner < p->inner; ++inner) {
      int32_t found = input[inner], index = 0;
      for (int32_t i = 1; i < p->size; ++i) {
        const int32_t value = input[i * p->inner + inner];
        if (p->maximum ? value > found : value < found) {
          found = value;
          index = i;
        }
      }
      *output++ = index;
    }
    input += p->size * p->inner;
  }
}

#endif
