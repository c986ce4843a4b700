/* MUL, int8, portable C. Arithmetic: MulElementwise in
 * tensorflow/lite/kernels/internal/reference/integer_ops/mul.h.
 *
 * Memory: each element is read before its result is written, so the output may take the place of
 * an input that is not repeated.
 */
#ifndef TINYML_MUL_H
#define TINYML_MUL_H

#include "tinyml_elementwise.h"

typedef struct {
  tinyml_broadcast walk;
  int32_t input1_zero_point;
  int32_t input2_zero_point;
  tinyml_rescaling output;
  int32_t activation_min;
  int32_t activation_max;
} tinyml_mul_params;

TINYML_INLINE void tinyml_mul_row(const tinyml_mul_params *p, const int8_t *input1,
                                  const int8_t *input2, int8_t *output) {
  const int32_t multiplier = tinyml_in_register(p->output.multiplier);
  const int32_t left = p->output.shift > 0 ? p->output.shift : 0;
  const int32_t right = left - p->output.shift;
  const int32_t first1 = *input1, first2 = *input2;
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int32_t a = (p->walk.row_step1 ? input1[i] : first1) - p->input1_zero_point;
    const int32_t b = (p->walk.row_step2 ? input2[i] : first2) - p->input2_zero_point;
    /* At most 16 bits, and the host sees to it that they fit 31 when shifted to the left. */
    const int32_t product = tinyml_doubling_high_multiply(a * b * (1 << left), multiplier);
    const int32_t stored = tinyml_shift_right_small(product, right) + p->output.zero_point;
    output[i] = (int8_t)tinyml_clamp(stored, p->activation_min, p->activation_max);
  }
}

TINYML_KERNEL void tinyml_mul(const tinyml_mul_params *p, const int8_t *input1,
                              const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_mul_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
