/* The walk of kernels that make one value of many, over any dimensions. */
#ifndef TINYML_REDUCTION_H
#define TINYML_REDUCTION_H

#include "tinyml_arithmetic.h"

/* Dimensions, outermost first and 1 where there are fewer; neighbours that are both kept or both
 * reduced are merged by the host. Steps are distances of neighbours in the input. */
typedef struct {
  int32_t kept[3];
  int32_t kept_step[3];
  int32_t reduced[3];
  int32_t reduced_step[3];
} tinyml_reduction;

/* The kernel `name`: all outputs, as name##_lanes makes four of them, or the one that is left over.
 * name##_params has the walk. */
#define TINYML_REDUCTION_KERNEL(name)                                                              \
  TINYML_KERNEL void name(const name##_params *p, const int8_t *input, int8_t *output) {           \
    const tinyml_reduction *w = &p->walk;                                                          \
    const int32_t end_of_blocks = w->kept[2] / 4 * 4;                                              \
    for (int32_t a = 0; a < w->kept[0]; ++a) {                                                     \
      for (int32_t b = 0; b < w->kept[1]; ++b) {                                                   \
        const int8_t *first = input + a * w->kept_step[0] + b * w->kept_step[1];                   \
        for (int32_t c = 0; c < end_of_blocks; c += 4) {                                           \
          name##_lanes(p, first + c * w->kept_step[2], 4, output + c);                             \
        }                                                                                          \
        for (int32_t c = end_of_blocks; c < w->kept[2]; ++c) {                                     \
          name##_lanes(p, first + c * w->kept_step[2], 1, output + c);                             \
        }                                                                                          \
        output += w->kept[2];                                                                      \
      }                                                                                            \
    }                                                                                              \
  }

#endif
