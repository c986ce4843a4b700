/* ADD and SUB, int8, for cores with MVE. Equals add.h to the bit.
 *
 * All of TFLM's rescalings come down to one linear function, which is saturated:
 *
 *     output = (factor1 * input1 / 2^8 + factor2 * input2 / 2^8 + offset) / 2^20
 *
 * with both inner quotients rounded to the nearest and the outer one down. For the factors and the
 * offset that it picks, the host has compared this with TFLM's result for all 65,536 pairs of
 * inputs, and seen to it that nothing else saturates (tinyml_sdk/ops/mve/sum.py).
 *
 * Memory: four elements are read before their results are written, so the output may take the place
 * of an input.
 */
#ifndef TINYML_ADD_MVE_H
#define TINYML_ADD_MVE_H

#include "../tinyml_elementwise.h"
#include "tinyml_mve.h"

typedef struct {
  tinyml_broadcast walk; /* along a row, both inputs move */
  int32_t factor1;
  int32_t factor2; /* negative for SUB */
  int32_t offset;  /* less TINYML_ADD_MVE_HALVES */
} tinyml_add_mve_params;

/* What VQRSHRN adds when it shifts by 16 and then by 4. (VQSHRN, which adds nothing, is the same
 * instruction to the assembler of gcc 12.) */
#define TINYML_ADD_MVE_HALVES ((INT32_C(1) << 15) + (INT32_C(1) << 19))

/* Ten instructions for four elements. With an input as the upper bits of a lane, twice the high
 * half of its product with the factor is the quotient; 2^20 is shifted away in two narrowings, to
 * 16 and to 8 bits. */
TINYML_SHARED void tinyml_add_mve_row(const tinyml_add_mve_params *p, const int8_t *input1,
                                      const int8_t *input2, int8_t *output) {
#if TINYML_HAS_MVE
  __asm__ volatile("dlstp.32 lr, %[count]\n"
                   "1:\n"
                   "vldrb.s32 q0, [%[input1]], #4\n"
                   "vldrb.s32 q1, [%[input2]], #4\n"
                   "vshl.i32 q0, q0, #23\n"
                   "vshl.i32 q1, q1, #23\n"
                   "vqrdmlash.s32 q0, %q[factor1], %[offset]\n"
                   "vqrdmlah.s32 q0, q1, %[factor2]\n"
                   "vqrshrnb.s32 q0, q0, #16\n"
                   "vqrshrnb.s16 q0, q0, #4\n"
                   "vstrb.32 q0, [%[output]], #4\n"
                   "letp lr, 1b\n"
                   : [input1] "+l"(input1), [input2] "+l"(input2), [output] "+l"(output)
                   : [factor1] "w"(tinyml_all_int32x4(p->factor1)), [factor2] "r"(p->factor2),
                     [offset] "r"(p->offset), [count] "r"(p->walk.row)
                   : "lr", "q0", "q1", "cc", "memory");
#else
  for (int32_t i = 0; i < p->walk.row; ++i) {
    const int64_t term1 = ((int64_t)p->factor1 * input1[i] + 128) >> 8;
    const int64_t term2 = ((int64_t)p->factor2 * input2[i] + 128) >> 8;
    const int64_t sum = term1 + p->offset + term2 + TINYML_ADD_MVE_HALVES;
    output[i] = (int8_t)tinyml_clamp((int32_t)(sum >> 20), INT8_MIN, INT8_MAX);
  }
#endif
}

TINYML_KERNEL void tinyml_add_mve(const tinyml_add_mve_params *p, const int8_t *input1,
                                  const int8_t *input2, int8_t *output) {
  int32_t turn[TINYML_BROADCAST_LOOPS] = {0};
  do {
    tinyml_add_mve_row(p, input1, input2, output);
    output += p->walk.row;
  } while (tinyml_next_row(&p->walk, turn, &input1, &input2));
}

#endif
