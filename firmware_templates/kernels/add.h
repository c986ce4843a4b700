/* ADD and SUB, int8, portable C. Arithmetic: AddElementwise and SubElementwise in
 * tensorflow/lite/kernels/internal/reference/add.h and sub.h: both inputs are scaled by 2^20 and
 * to twice the larger of their scales, combined, and scaled to the output.
 *
 * Memory: each element is read before its result is written, so the output may take the place of
 * an input that is not repeated.
 */
#ifndef TINYML_ADD_H
#define TINYML_ADD_H

#include "tinyml_elementwise.h"

typedef struct {
  tinyml_broadcast walk;
  tinyml_rescaling input1;
  tinyml_rescaling input2;
  int32_t subtract;
  tinyml_rescaling output;
  int32_t activation_min;
  int32_t activation_max;
} tinyml_add_params;

/* (stored - zero_point) * 2^20, rescaled: at most 28 bits. */
TINYML_INLINE int32_t tinyml_add_operand(const tinyml_rescaling *r, int32_t multiplier,
                                         int32_t stored) {
  if (r->multiplier == (1 << 30) && r->shift == 0) {
    return (stored - r->zero_point) * (1 << 19); /* the larger scale: exactly half */
  }
  /* tinyml_doubling_high_multiply with 2^20 and the zero point taken out of the brackets. */
  const int64_t constant = (INT64_C(1) << 10) - (int64_t)r->zero_point * multiplier;
  const int32_t scaled = (int32_t)(((int64_t)stored * multiplier + constant) >> 11);
  return tinyml_shift_right_small(scaled, -r->shift);
}

TINYML_INLINE void tinyml_add_row(const tinyml_add_params *p, const int8_t *input1,
                                  const int8_t *input2, int8_t *output) {
  const int32_t multiplier1 = tinyml_in_register(p->input1.multiplier);
  const int32_t multiplier2 = tinyml_in_register(p->input2.multiplier);
  const int32_t multiplier = tinyml_in_register(p->output.multiplier);
  /* An operand that stays the same is scaled once. */
  const int32_t first1 = tinyml_add_operand(&p->input1, multiplier1, *input1);
  const int32_t first2 = tinyml_add_operand(&p->input2, multiplier2, *input2);
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int32_t a =
        p->walk.row_step1 ? tinyml_add_operand(&p->input1, multiplier1, input1[i]) : first1;
    const int32_t b =
        p->walk.row_step2 ? tinyml_add_operand(&p->input2, multiplier2, input2[i]) : first2;
    const int32_t sum = tinyml_doubling_high_multiply(p->subtract ? a - b : a + b, multiplier);
    const int32_t stored = tinyml_shift_right_small(sum, -p->output.shift) + p->output.zero_point;
    output[i] = (int8_t)tinyml_clamp(stored, p->activation_min, p->activation_max);
  }
}

TINYML_KERNEL void tinyml_add(const tinyml_add_params *p, const int8_t *input1,
                              const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_add_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
