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

#endif
