/* FULLY_CONNECTED of a single row, int8, for Armv6-M. Equals fully_connected.h to the bit.
 *
 * Memory: the input is read again for each four channels; a row that does not consist of words is
 * copied first.
 */
#ifndef TINYML_FULLY_CONNECTED_ROW_ARMV6M_H
#define TINYML_FULLY_CONNECTED_ROW_ARMV6M_H

#include "tinyml_scalar_armv6m.h"

typedef struct {
  int32_t depth;
  int32_t channels;
  int32_t scale_step;           /* 1: constants for each channel; 0: the same for all */
  tinyml_requantization output; /* for TINYML_SCALAR_GENERAL */
  int32_t form;                 /* TINYML_SCALAR_… */
} tinyml_fully_connected_row_armv6m_params;

/* weights: for each four channels and each input, padded to words, four bytes raised by 128. bias:
 * padded to four channels. scratch: a copy of the row, for a depth that is no multiple of 4. */
TINYML_KERNEL void
tinyml_fully_connected_row_armv6m(const tinyml_fully_connected_row_armv6m_params *p,
                                  const int8_t *input, const int8_t *weights, const int32_t *bias,
                                  const int32_t *scale, const int8_t *shift, int8_t *output,
                                  int8_t *scratch) {
  const int32_t quads = (p->depth + 3) / 4;
  int32_t raised = 0;
  for (int32_t i = 0; i < p->depth; ++i) {
    raised += 128 * input[i];
  }
  if (p->depth % 4 != 0) {
    tinyml_scalar_copy(scratch, input, p->depth);
    for (int32_t i = p->depth; i < 4 * quads; ++i) {
      scratch[i] = 0;
    }
    input = scratch;
  }
  tinyml_scalar_scale constants = tinyml_scalar_load(p->form, &p->output, scale, shift, 0);
  for (int32_t first = 0; first < p->channels; first += 4) {
    const int32_t count = tinyml_min(4, p->channels - first);
    int32_t sums[4];
    for (int32_t i = 0; i < 4; ++i) {
      sums[i] = bias[first + i] - raised;
    }
    tinyml_armv6m_dot_1x4(input, weights, quads, sums);
    weights += 16 * quads;
    for (int32_t i = 0; i < count; ++i) {
      if (p->scale_step != 0) {
        constants = tinyml_scalar_load(p->form, &p->output, scale, shift, first + i);
      }
      *output++ = tinyml_scalar_requantize(p->form, &p->output, &constants, sums[i]);
    }
  }
}

#endif
