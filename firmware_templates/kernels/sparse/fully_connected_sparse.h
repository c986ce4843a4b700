/* FULLY_CONNECTED of a single row, int8, whose weights are stored as lists (tinyml_sparse.h),
 * portable C. Equals fully_connected.h to the bit.
 *
 * The input's zero point is in the bias. Memory: the row is read again for each channel.
 */
#ifndef TINYML_FULLY_CONNECTED_SPARSE_H
#define TINYML_FULLY_CONNECTED_SPARSE_H

#include "../dsp/tinyml_dsp.h"
#include "../tinyml_requantize.h"
#include "tinyml_sparse.h"

typedef struct tinyml_fully_connected_sparse_params tinyml_fully_connected_sparse_params;

struct tinyml_fully_connected_sparse_params {
  int32_t channels;
  int32_t codebooks; /* before the lists: none, one, or each channel's */
  tinyml_requantization output;
  /* The instance below for the form of the lists. Named by the layer, so that no other is linked.
   */
  void (*compute)(const tinyml_fully_connected_sparse_params *p, const int8_t *input,
                  const uint8_t *lists, const int32_t *bias, tinyml_multipliers scale,
                  int8_t *output);
};

TINYML_INLINE void tinyml_sparse_row(int32_t form, const tinyml_fully_connected_sparse_params *p,
                                     const int8_t *input, const uint8_t *lists, const int32_t *bias,
                                     tinyml_multipliers scale, int8_t *output) {
  const int8_t *codebook = (const int8_t *)lists;
  const int32_t next_codebook = p->codebooks > 1 ? TINYML_CODEBOOK : 0;
  lists += p->codebooks * TINYML_CODEBOOK;
  for (int32_t channel = 0; channel < p->channels; ++channel) {
    tinyml_sparse_sums s;
    s.pixels = 1;
    s.packed = 0;
    s.row = input;
    s.sum0 = (uint32_t)bias[channel];
    lists = tinyml_sparse_walk(form, lists, codebook, &s);
    codebook += next_codebook;
    output[channel] = tinyml_requantize(&p->output, scale, channel, (int32_t)s.sum0);
  }
}

#define TINYML_SPARSE_ROW(name, form)                                                              \
  TINYML_SHARED void tinyml_sparse_row_##name(                                                     \
      const tinyml_fully_connected_sparse_params *p, const int8_t *input, const uint8_t *lists,    \
      const int32_t *bias, tinyml_multipliers scale, int8_t *output) {                             \
    tinyml_sparse_row(form, p, input, lists, bias, scale, output);                                 \
  }

TINYML_SPARSE_ROW(gaps, TINYML_LIST_GAPS)
TINYML_SPARSE_ROW(coded_gaps, TINYML_LIST_CODED_GAPS)
TINYML_SPARSE_ROW(blocks, TINYML_LIST_BLOCKS)
TINYML_SPARSE_ROW(codes, TINYML_LIST_CODES)

TINYML_KERNEL void tinyml_fully_connected_sparse(const tinyml_fully_connected_sparse_params *p,
                                                 const int8_t *input, const uint8_t *lists,
                                                 const int32_t *bias, const int32_t *multiplier,
                                                 const int8_t *shift, int8_t *output) {
  const tinyml_multipliers scale = {multiplier, shift};
  p->compute(p, input, lists, bias, scale, output);
}

#endif
