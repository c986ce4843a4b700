/* DEQUANTIZE, int8 to float32. Arithmetic: reference_ops::Dequantize in
 * tensorflow/lite/kernels/internal/reference/dequantize.h. TFLM multiplies in double, where the
 * product is exact, and then rounds to float: one multiplication in float rounds the same.
 *
 * Memory: forwards, element by element; results take four times the room, so the input has to
 * start three bytes for each element but one above the output.
 */
#ifndef TINYML_DEQUANTIZE_H
#define TINYML_DEQUANTIZE_H

#include "tinyml_arithmetic.h"

typedef struct {
  int32_t elements;
  float scale;
  int32_t zero_point;
} tinyml_dequantize_params;

TINYML_KERNEL void tinyml_dequantize(const tinyml_dequantize_params *p, const int8_t *input,
                                     float *output) {
  for (int32_t i = 0; i < p->elements; ++i) {
    output[i] = p->scale * (float)(input[i] - p->zero_point);
  }
}

#endif
