/* TRANSPOSE, DEPTH_TO_SPACE and SPACE_TO_DEPTH, bytes, portable C: the output in order, each row of
 * it gathered from the input. Semantics: transpose.h, depth_to_space.h and space_to_depth.h in
 * tensorflow/lite/kernels/internal/reference.
 *
 * Memory: what is read goes up and down, so the host finds out how far above the output the input
 * must start for nothing to be overwritten that is still to be read.
 */
#ifndef TINYML_TRANSPOSE_H
#define TINYML_TRANSPOSE_H

#include "tinyml_bytes.h"

/* The host merges dimensions that stay neighbours. */
typedef struct {
  int32_t sizes[4]; /* of the output, outermost first, without its last dimension */
  int32_t steps[4]; /* bytes of the input from one turn to the next */
  int32_t row;      /* elements along the output's last dimension */
  int32_t row_step; /* bytes of the input between them */
} tinyml_transpose_params;

TINYML_INLINE void tinyml_transpose_row(const tinyml_transpose_params *p, const int8_t *input,
                                        int8_t *output) {
  if (p->row_step == 1) {
    tinyml_copy(output, input, p->row);
    return;
  }
  for (int32_t i = 0; i < p->row; ++i) {
    output[i] = *input;
    input += p->row_step;
  }
}

TINYML_KERNEL void tinyml_transpose(const tinyml_transpose_params *p, const int8_t *input,
                                    int8_t *output) {
  for (int32_t a = 0; a < p->sizes[0]; ++a) {
    for (int32_t b = 0; b < p->sizes[1]; ++b) {
      for (int32_t c = 0; c < p->sizes[2]; ++c) {
        for (int32_t d = 0; d < p->sizes[3]; ++d) {
          const int32_t offset = a * p->steps[0] + b * p->steps[1] + c * p->steps[2];
          tinyml_transpose_row(p, input + offset + d * p->steps[3], output);
          output += p->row;
        }
      }
    }
  }
}

#endif
