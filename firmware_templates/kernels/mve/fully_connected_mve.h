/* FULLY_CONNECTED and pointwise CONV_2D, int8, for cores with MVE. Equals fully_connected.h to the
 * bit.
 *
 * Memory: two rows, or one where there is just one, are read before TINYML_MVE_PAIR_CHANNELS (or
 * TINYML_MVE_ROW_CHANNELS) of their outputs are written, and again for each so many. Rows with more
 * outputs are copied first, and so are those of which whole vectors would reach beyond the input.
 */
#ifndef TINYML_FULLY_CONNECTED_MVE_H
#define TINYML_FULLY_CONNECTED_MVE_H

#include "tinyml_mve_matrix.h"

typedef struct {
  int32_t rows; /* batches, or pixels */
  int32_t depth;
  int32_t in_place; /* pairs of rows that are read where they are; the others are copied */
  int32_t sums; /* bytes of them in scratch, which has room for two rows of whole vectors behind */
  tinyml_mve_matrix matrix;
} tinyml_fully_connected_mve_params;

TINYML_KERNEL void tinyml_fully_connected_mve(const tinyml_fully_connected_mve_params *p,
                                              const int8_t *input, const int32_t *weights,
                                              const int32_t *multiplier, const int8_t *shift,
                                              int8_t *output, int8_t *scratch) {
  const int32_t depth = p->depth, padded = TINYML_VECTOR * p->matrix.steps;
  const tinyml_mve_job job = {&p->matrix, (const int8_t *)weights, multiplier, shift,
                              (int32_t *)(void *)scratch};
  int8_t *copy = scratch + p->sums;
  /* A single row is no pair, and has no distance to a second one. */
  if (p->in_place > 0) {
    p->matrix.multiply(&job, input, p->rows > 1 ? depth : 0, output, p->in_place);
  }
  for (int32_t row = 2 * p->in_place; row < p->rows; row += 2) {
    const int32_t has_partner = row + 1 < p->rows;
    const int8_t *from = input + row * depth;
    tinyml_mve_copy(copy, from, depth);
    if (has_partner) {
      tinyml_mve_copy(copy + padded, from + depth, depth);
    }
    p->matrix.multiply(&job, copy, has_partner ? padded : 0, output + row * p->matrix.channels, 1);
  }
}

#endif
