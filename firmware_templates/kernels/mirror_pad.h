/* MIRROR_PAD, bytes, portable C: the input with its edges reflected before, between and behind its
 * rows. Semantics: tensorflow/lite/micro/kernels/mirror_pad.cc.
 *
 * Memory: what is read goes up and down, so the host finds out how far above the output the input
 * must start for nothing to be overwritten that is still to be read.
 */
#ifndef TINYML_MIRROR_PAD_H
#define TINYML_MIRROR_PAD_H

#include "tinyml_bytes.h"

/* Four dimensions, outermost first, and runs of bytes below them that are copied as they are; the
 * host merges dimensions without padding. */
typedef struct {
  int32_t sizes[4];        /* of the input */
  int32_t before[4];       /* elements in front of the first */
  int32_t output_sizes[4]; /* with what is before and behind */
  int32_t run;
  int32_t skipped; /* 1: the edge itself is not repeated; 0: it is */
} tinyml_mirror_pad_params;

/* Where in the input an element of the output comes from, along one dimension. */
TINYML_INLINE int32_t tinyml_mirror_pad_source(const tinyml_mirror_pad_params *p, int32_t dimension,
                                               int32_t place) {
  const int32_t size = p->sizes[dimension];
  const int32_t source = place - p->before[dimension];
  return source < 0       ? p->skipped - 1 - source
         : source >= size ? 2 * size - 1 - p->skipped - source
                          : source;
}

TINYML_KERNEL void tinyml_mirror_pad(const tinyml_mirror_pad_params *p, const int8_t *input,
                                     int8_t *output) {
  for (int32_t a = 0; a < p->output_sizes[0]; ++a) {
    const int32_t i = tinyml_mirror_pad_source(p, 0, a) * p->sizes[1];
    for (int32_t b = 0; b < p->output_sizes[1]; ++b) {
      const int32_t j = (i + tinyml_mirror_pad_source(p, 1, b)) * p->sizes[2];
      for (int32_t c = 0; c < p->output_sizes[2]; ++c) {
        const int32_t k = (j + tinyml_mirror_pad_source(p, 2, c)) * p->sizes[3];
        for (int32_t d = 0; d < p->output_sizes[3]; ++d) {
          const int32_t l = k + tinyml_mirror_pad_source(p, 3, d);
          tinyml_copy(output, input + l * p->run, p->run);
          output += p->run;
        }
      }
    }
  }
}

#endif
