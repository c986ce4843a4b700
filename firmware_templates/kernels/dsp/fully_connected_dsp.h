/* FULLY_CONNECTED and pointwise CONV_2D, int8, for cores with the DSP extension. Equals
 * fully_connected.h to the bit.
 *
 * Rows are taken in words. The last one of a row that does not consist of them ends with bytes of
 * the next row, which meet zero weights.
 *
 * Memory: two rows are gathered before their outputs are written; a single row is read again for
 * each eight channels.
 */
#ifndef TINYML_FULLY_CONNECTED_DSP_H
#define TINYML_FULLY_CONNECTED_DSP_H

#include "tinyml_dsp_gather.h"
#include "tinyml_dsp_matrix.h"

typedef struct {
  int32_t rows; /* batches, or pixels */
  int32_t depth;
  tinyml_dsp_matrix matrix;
} tinyml_fully_connected_dsp_params;

/* Two of the last rows, behind which there may be nothing to read. */
TINYML_RARE void tinyml_dsp_widen_last(uint32_t *to, const int8_t *row, const int8_t *partner,
                                       int32_t depth) {
  const int32_t whole = depth / 4 * 4;
  int8_t words[2][4] = {{0}, {0}};
  tinyml_dsp_widen(to, row, partner, depth / 4);
  if (whole != depth) {
    TINYML_ROLLED
    for (int32_t i = whole; i < depth; ++i) {
      words[0][i - whole] = row[i];
      words[1][i - whole] = partner[i];
    }
    tinyml_dsp_widen_word(to + whole, words[0], words[1]);
  }
}

/* scratch: 4 bytes for each input of a row, in words of 4 inputs. */
TINYML_KERNEL void tinyml_fully_connected_rows_dsp(const tinyml_fully_connected_dsp_params *p,
                                                   const int8_t *input, const int32_t *weights,
                                                   const int32_t *scale, const int8_t *shift,
                                                   int8_t *output, int8_t *scratch) {
  const int32_t depth = p->depth, words = p->matrix.depth / 4;
  uint32_t *activations = (uint32_t *)(void *)scratch;
  const int32_t channels = p->matrix.channels;
  tinyml_dsp_blocks blocks = tinyml_dsp_pair_blocks(&p->matrix, scratch, weights, scale, shift);
  for (int32_t row = 0; row < p->rows; row += 2) {
    /* An odd last row is its own partner. */
    const int32_t both = row + 1 < p->rows;
    const int8_t *partner = both ? input + depth : input;
    if ((p->rows - 1 - row) * depth >= 4 * words) {
      tinyml_dsp_widen_run(activations, input, partner, words);
    } else {
      tinyml_dsp_widen_last(activations, input, partner, depth);
    }
    blocks.output0 = output;
    blocks.output1 = both ? output + channels : output;
    p->matrix.multiply(&p->matrix, &blocks);
    input += 2 * depth;
    output += 2 * channels;
  }
}

/* A row and zeros up to whole words, in scratch. */
TINYML_RARE const int8_t *tinyml_dsp_whole_words(const tinyml_fully_connected_dsp_params *p,
                                                 const int8_t *input, int8_t *scratch) {
  tinyml_copy(scratch, input, p->depth);
  tinyml_fill(scratch + p->depth, 0, p->matrix.depth - p->depth);
  return scratch;
}

/* A single row. scratch: a copy of the row, for a depth that is no multiple of 4. */
TINYML_KERNEL void tinyml_fully_connected_row_dsp(const tinyml_fully_connected_dsp_params *p,
                                                  const int8_t *input, const int32_t *weights,
                                                  const int32_t *scale, const int8_t *shift,
                                                  int8_t *output, int8_t *scratch) {
  if (p->depth % 4 != 0) {
    input = tinyml_dsp_whole_words(p, input, scratch);
  }
  tinyml_dsp_blocks blocks = tinyml_dsp_whole_blocks(&p->matrix, input, weights, scale, shift);
  blocks.output0 = output;
  p->matrix.multiply(&p->matrix, &blocks);
}

#endif
