/* What operators with two inputs share: the walk over shapes of which either may repeat the other,
 * and cheap forms of the fixed-point steps for values that are known to be small.
 */
#ifndef TINYML_ELEMENTWISE_H
#define TINYML_ELEMENTWISE_H

#include "tinyml_arithmetic.h"

#define TINYML_BROADCAST_LOOPS 5

/* The host merges dimensions, so that most layers are a single row. */
typedef struct {
  int32_t row;                           /* elements of the innermost loop */
  int32_t row_step1;                     /* 1; 0 if one value of the first input serves the row */
  int32_t row_step2;                     /* the same for the second input */
  int32_t loops;                         /* around the row */
  int32_t size[TINYML_BROADCAST_LOOPS];  /* turns of each loop, innermost first */
  int32_t step1[TINYML_BROADCAST_LOOPS]; /* how far the first input's row moves at each turn */
  int32_t step2[TINYML_BROADCAST_LOOPS];
} tinyml_broadcast;

/* Moves both inputs to their next row; `turn` counts the loops from zeros. Returns 0 at the end. */
TINYML_INLINE int32_t tinyml_next_row(const tinyml_broadcast *walk, int32_t *turn,
                                      const int8_t **input1, const int8_t **input2) {
  for (int32_t loop = 0; loop < walk->loops; ++loop) {
    if (++turn[loop] < walk->size[loop]) {
      *input1 += walk->step1[loop];
      *input2 += walk->step2[loop];
      return 1;
    }
    turn[loop] = 0;
  }
  return 0;
}

/* A factor, and the zero point that goes with it. */
typedef struct {
  int32_t zero_point;
  int32_t multiplier;
  int32_t shift;
} tinyml_rescaling;

/* tinyml_rounding_shift_right for values below 2^30: no comparison is needed. */
TINYML_INLINE int32_t tinyml_shift_right_small(int32_t value, int32_t exponent) {
  if (exponent == 0) {
    return value;
  }
  return (value + (INT32_C(1) << (exponent - 1)) + (value >> 31)) >> exponent;
}

#endif
