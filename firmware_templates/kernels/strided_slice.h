/* STRIDED_SLICE, bytes, portable C: every so many elements of each dimension.
 * Semantics: tensorflow/lite/kernels/internal/reference/strided_slice.h.
 *
 * Memory: with forward steps, what is written never catches up with what is read, so the output may
 * take the input's place.
 */
#ifndef TINYML_STRIDED_SLICE_H
#define TINYML_STRIDED_SLICE_H

#include "tinyml_bytes.h"

/* The host merges inner dimensions that are taken whole into runs of bytes. */
typedef struct {
  int32_t start;    /* of the first run */
  int32_t sizes[4]; /* turns of the loops around a run, outermost first */
  int32_t steps[4]; /* bytes from one turn to the next */
  int32_t run;
} tinyml_strided_slice_params;

TINYML_KERNEL void tinyml_strided_slice(const tinyml_strided_slice_params *p, const int8_t *input,
                                        int8_t *output) {
  for (int32_t a = 0; a < p->sizes[0]; ++a) {
    for (int32_t b = 0; b < p->sizes[1]; ++b) {
      for (int32_t c = 0; c < p->sizes[2]; ++c) {
        for (int32_t d = 0; d < p->sizes[3]; ++d) {
          const int32_t offset = p->start + a * p->steps[0] + b * p->steps[1] + c * p->steps[2];
          tinyml_copy(output, input + offset + d * p->steps[3], p->run);
          output += p->run;
        }
      }
    }
  }
}

#endif
