/* ADD and SUB, int8, for cores with the DSP extension. Equals add.h to the bit.
 *
 * All of TFLM's rescalings come down to one linear function, which is saturated:
 *
 *     output = (factor1 * input1 / 2^8 + factor2 * input2 / 2^8 + offset) / 2^20
 *
 * with every quotient rounded down. For the factors and the offset that it picks, the host has
 * compared this with TFLM's result for all 65,536 pairs of inputs (tinyml_sdk/ops/linear_sum.py).
 *
 * Memory: four elements are read before their results are written, so the output may take the place
 * of an input.
 */
#ifndef TINYML_ADD_DSP_H
#define TINYML_ADD_DSP_H

#include "../tinyml_elementwise.h"
#include "tinyml_dsp.h"

typedef struct {
  tinyml_broadcast walk; /* along a row, both inputs move */
  int32_t factor1;
  int32_t factor2; /* negative for SUB */
  int32_t offset;
} tinyml_add_dsp_params;

/* The low halves of two words hold 2^8 * input. */
TINYML_INLINE int8_t tinyml_add_dsp_low(const tinyml_add_dsp_params *p, uint32_t a, uint32_t b) {
  return tinyml_saturate_sum(tinyml_smlawb(p->factor2, b, tinyml_smlawb(p->factor1, a, p->offset)));
}

TINYML_INLINE int8_t tinyml_add_dsp_high(const tinyml_add_dsp_params *p, uint32_t a, uint32_t b) {
  return tinyml_saturate_sum(tinyml_smlawt(p->factor2, b, tinyml_smlawt(p->factor1, a, p->offset)));
}

/* 23 instructions for four elements. */
TINYML_SHARED void tinyml_add_dsp_row(const tinyml_add_dsp_params *p, const int8_t *input1,
                                      const int8_t *input2, int8_t *output) {
  const tinyml_add_dsp_params local = {
      .factor1 = p->factor1, .factor2 = p->factor2, .offset = p->offset};
  /* In a register, for the instruction that shifts and masks. */
  const uint32_t upper_bytes = (uint32_t)tinyml_in_register((int32_t)0xff00ff00u);
  int32_t left = p->walk.row;
  for (; left >= 4; left -= 4) {
    const uint32_t a = tinyml_load_word(input1), b = tinyml_load_word(input2);
    const uint32_t even_a = upper_bytes & (a << 8), even_b = upper_bytes & (b << 8);
    const uint32_t odd_a = upper_bytes & a, odd_b = upper_bytes & b;
    output[0] = tinyml_add_dsp_low(&local, even_a, even_b);
    output[1] = tinyml_add_dsp_low(&local, odd_a, odd_b);
    output[2] = tinyml_add_dsp_high(&local, even_a, even_b);
    output[3] = tinyml_add_dsp_high(&local, odd_a, odd_b);
    input1 += 4;
    input2 += 4;
    output += 4;
  }
  for (; left > 0; --left) {
    *output++ = tinyml_add_dsp_low(&local, (uint32_t)*input1++ << 8, (uint32_t)*input2++ << 8);
  }
}

TINYML_KERNEL void tinyml_add_dsp(const tinyml_add_dsp_params *p, const int8_t *input1,
                                  const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_add_dsp_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
