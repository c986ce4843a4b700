/* PAD, bytes, portable C: the input's rows, with runs of one value before, between and behind them.
 * Semantics: tensorflow/lite/kernels/internal/reference/pad.h.
 *
 * Memory: output and input are walked forwards, and what is written never falls behind what is
 * read; so the input must start above the output by all the padding before its last row.
 */
#ifndef TINYML_PAD_H
#define TINYML_PAD_H

#include "tinyml_bytes.h"

/* Five dimensions, outermost first; the host merges those without padding into their neighbours. */
typedef struct {
  int32_t sizes[5];  /* of the input */
  int32_t before[5]; /* bytes of padding before the first element of the dimension */
  int32_t after[5];  /* and behind the last */
  int32_t value;
} tinyml_pad_params;

TINYML_INLINE int8_t *tinyml_pad_fill(const tinyml_pad_params *p, int8_t *output, int32_t bytes) {
  tinyml_fill(output, p->value, bytes);
  return output + bytes;
}

TINYML_KERNEL void tinyml_pad(const tinyml_pad_params *p, const int8_t *input, int8_t *output) {
  output = tinyml_pad_fill(p, output, p->before[0]);
  for (int32_t a = 0; a < p->sizes[0]; ++a) {
    output = tinyml_pad_fill(p, output, p->before[1]);
    for (int32_t b = 0; b < p->sizes[1]; ++b) {
      output = tinyml_pad_fill(p, output, p->before[2]);
      for (int32_t c = 0; c < p->sizes[2]; ++c) {
        output = tinyml_pad_fill(p, output, p->before[3]);
        for (int32_t d = 0; d < p->sizes[3]; ++d) {
          output = tinyml_pad_fill(p, output, p->before[4]);
          tinyml_copy(output, input, p->sizes[4]);
          input += p->sizes[4];
          output = tinyml_pad_fill(p, output + p->sizes[4], p->after[4]);
        }
        output = tinyml_pad_fill(p, output, p->after[3]);
      }
      output = tinyml_pad_fill(p, output, p->after[2]);
    }
    output = tinyml_pad_fill(p, output, p->after[1]);
  }
  tinyml_fill(output, p->value, p->after[0]);
}

#endif
