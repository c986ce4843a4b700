/* FULLY_CONNECTED and pointwise CONV_2D, int8, for cores with the DSP extension. Equals
 * fully_connected.h to the bit.
 *
 * What two rows leave of words is in a word that ends with the row: its first bytes are others that
 * meet zero weights (words_order in tinyml_sdk/ops/dsp/matrix.py).
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

/* Behind `before` zeros the bytes of a row: the word that ends with it. */
TINYML_INLINE void tinyml_dsp_word_of_row(int8_t word[4], const int8_t *row, int32_t before) {
  for (int32_t i = 0; i < 4; ++i) {
    word[i] = i < before ? 0 : row[i - before];
  }
}

/* The word that ends with a row, of two rows. Where rows are shorter than a word and this is one of
 * the first, it would begin outside the input. rows: up to the end of the first of the two. */
TINYML_RARE void tinyml_dsp_widen_ends(uint32_t *to, const int8_t *row, const int8_t *partner,
                                       int32_t depth, int32_t rows) {
  int8_t words[2][4];
  if (rows * depth >= 4) {
    tinyml_dsp_widen_word(to, row + (depth - 4), partner + (depth - 4));
    return;
  }
  tinyml_dsp_word_of_row(words[0], row, 4 - depth);
  tinyml_dsp_word_of_row(words[1], partner, 4 - depth);
  tinyml_dsp_widen_word(to, words[0], words[1]);
}

/* scratch: 4 bytes for each input of a row, in words of 4 inputs. */
TINYML_KERNEL void tinyml_fully_connected_rows_dsp(const tinyml_fully_connected_dsp_params *p,
                                                   const int8_t *input, const int32_t *weights,
                                                   const int32_t *scale, const int8_t *shift,
                                                   int8_t *output, int8_t *scratch) {
  const int32_t depth = p->depth, tail = p->depth % 4;
  uint32_t *activations = (uint32_t *)(void *)scratch;
  const int32_t channels = p->matrix.channels;
  tinyml_dsp_blocks blocks = tinyml_dsp_pair_blocks(&p->matrix, scratch, weights, scale, shift);
  for (int32_t row = 0; row < p->rows; row += 2) {
    /* An odd last row is its own partner. */
    const int32_t both = row + 1 < p->rows;
    const int8_t *partner = both ? input + depth : input;
    tinyml_dsp_widen(activations, input, partner, depth / 4);
    if (tail != 0) {
      tinyml_dsp_widen_ends(activations + (depth - tail), input, partner, depth, row + 1);
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
