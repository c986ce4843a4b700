/* ADD and SUB, int8, for cores without SIMD instructions. Equals add.h to the bit.
 *
 * The linear function of add_dsp.h, which the host has compared with TFLM for all pairs of inputs
 * (tinyml_sdk/ops/linear_sum.py), in products of 32 bits: a factor is taken apart into its lower
 * eight bits and the rest, so that the quotient by 2^8 is that of the lower part alone.
 *
 * Memory: each element is read before its result is written.
 */
#ifndef TINYML_ADD_SCALAR_H
#define TINYML_ADD_SCALAR_H

#include "../tinyml_elementwise.h"
#include "tinyml_scalar.h"

typedef struct {
  tinyml_broadcast walk; /* along a row, both inputs move */
  int32_t factor1;
  int32_t factor2; /* negative for SUB */
  int32_t offset;
} tinyml_add_scalar_params;

#define TINYML_ADD_SCALAR_FRACTION 20

TINYML_SCALAR_SHARED void tinyml_add_scalar_row(const tinyml_add_scalar_params *p,
                                                const int8_t *input1, const int8_t *input2,
                                                int8_t *output) {
  const int32_t upper1 = p->factor1 >> 8, lower1 = p->factor1 & 0xFF;
  const int32_t upper2 = p->factor2 >> 8, lower2 = p->factor2 & 0xFF;
  const int32_t offset = p->offset;
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int32_t a = input1[i], b = input2[i];
    /* The parts may leave 32 bits, their sum does not. */
    const uint32_t whole = (uint32_t)(a * upper1) + (uint32_t)(b * upper2) + (uint32_t)offset;
    const int32_t sum =
        (int32_t)(whole + (uint32_t)(a * lower1 >> 8) + (uint32_t)(b * lower2 >> 8));
    output[i] = (int8_t)tinyml_clamp(sum >> TINYML_ADD_SCALAR_FRACTION, -128, 127);
  }
}

TINYML_KERNEL void tinyml_add_scalar(const tinyml_add_scalar_params *p, const int8_t *input1,
                                     const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_add_scalar_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
