/* FULLY_CONNECTED and pointwise CONV_2D, int8, for cores without SIMD instructions. Equals
 * fully_connected.h to the bit.
 *
 * Memory: the rows of a tile are gathered before their outputs are written.
 */
#ifndef TINYML_FULLY_CONNECTED_SCALAR_H
#define TINYML_FULLY_CONNECTED_SCALAR_H

#include "tinyml_scalar_matrix.h"

typedef struct {
  int32_t rows; /* batches, or pixels */
  int32_t depth;
  tinyml_scalar_matrix matrix;
} tinyml_fully_connected_scalar_params;

/* scratch: the rows of a tile; widened, of twice the size. */
TINYML_KERNEL void tinyml_fully_connected_rows_scalar(const tinyml_fully_connected_scalar_params *p,
                                                      const int8_t *input, const int8_t *weights,
                                                      const int32_t *bias, const int32_t *scale,
                                                      const int8_t *shift, int8_t *output,
                                                      int8_t *scratch) {
  const tinyml_scalar_constants constants = {weights, bias, scale, shift};
  const int32_t tile = p->matrix.tile;
  int8_t *bytes = scratch + (p->matrix.widened ? tile * p->matrix.depth : 0);
  for (int32_t left = p->rows; left > 0; left -= tile) {
    const int32_t pixels = tinyml_min(left, tile);
    for (int32_t row = 0; row < pixels; ++row) {
      (void)tinyml_scalar_put(bytes + 4 * row, tile, input + row * p->depth, p->depth);
    }
    p->matrix.multiply(&p->matrix, scratch, &constants, output, pixels);
    input += tile * p->depth;
    output += tile * p->matrix.channels;
  }
}

#endif
