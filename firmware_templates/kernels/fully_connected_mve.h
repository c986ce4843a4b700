/* FULLY_CONNECTED and pointwise CONV_2D, int8, for cores with MVE. Equals fully_connected.h to the
 * bit.
 *
 * Memory: two rows, or one where there is just one, are read before TINYML_MVE_PAIR_CHANNELS (or
 * TINYML_MVE_ROW_CHANNELS) of their outputs are written, and again for each so many. Rows with more
 * outputs are `copied` first.
 */
#ifndef TINYML_FULLY_CONNECTED_MVE_H
#define TINYML_FULLY_CONNECTED_MVE_H

#include "tinyml_mve_matrix.h"

typedef struct {
  int32_t rows; /* batches, or pixels */
  int32_t depth;
  int32_t copied;
  int32_t sums; /* bytes of them in scratch, which has room for two rows of whole vectors behind */
  tinyml_mve_matrix matrix;
} tinyml_fully_connected_mve_params;

TINYML_KERNEL void tinyml_fully_connected_mve(const tinyml_fully_connected_mve_params *p,
                                              const int8_t *input, const int32_t *weights,
                                              const int32_t *multiplier, const int8_t *shift,
                                              int8_t *output, int8_t *scratch) {
  const int32_t depth = p->depth, padded = TINYML_VECTOR * p->matrix.steps;
  const int32_t channels = p->matrix.channels;
  const tinyml_mve_job job = {&p->matrix, (const int8_t *)weights, multiplier, shift,
                              (int32_t *)(void *)scratch};
  int8_t *copy = scratch + p->sums;
  for (int32_t left = p->rows; left > 0; left -= 2) {
    /* An odd last row is its own partner. */
    const int32_t second = left > 1;
    const int8_t *row0 = input, *row1 = second ? input + depth : input;
    /* Whole vectors must not reach beyond the input. */
    if (p->copied || padded - depth > (left - 1 - second) * depth) {
      tinyml_mve_copy(copy, row0, depth);
      tinyml_mve_copy(copy + padded, row1, depth);
      row0 = copy;
      row1 = copy + padded;
    }
    p->matrix.multiply(&job, row0, row1, output, second ? output + channels : output);
    input += 2 * depth;
    output += 2 * channels;
  }
}

#endif
