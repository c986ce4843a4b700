/* RELU and RELU6 where input and output have the same quantization, int8, portable C.
 *
 * Memory: each byte is read before its result is written, so the output may take the input's place.
 */
#ifndef TINYML_CLAMP_H
#define TINYML_CLAMP_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t elements;
  int32_t low;
  int32_t high;
} tinyml_clamp_params;

TINYML_KERNEL void tinyml_clamp_elements(const tinyml_clamp_params *p, const int8_t *input,
                                         int8_t *output) {
  for (int32_t i = 0; i < p->elements; ++i) {
    output[i] = (int8_t)tinyml_clamp(input[i], p->low, p->high);
  }
}

#endif
