/* BATCH_MATMUL, int8, portable C: products of matrices that are both computed, four columns at a
 * time. Arithmetic: BatchMatMul in tensorflow/lite/kernels/internal/reference/batch_matmul.h. TFLM
 * transposes a matrix into a copy first; here the steps along its dimensions differ instead.
 *
 * Memory: a row of the left matrix is read before each block of columns is written; the host finds
 * out how far the output may lie over it. It may not overlap the right matrix.
 */
#ifndef TINYML_BATCH_MATMUL_H
#define TINYML_BATCH_MATMUL_H

#include "tinyml_requantize.h"

/* Steps are distances in bytes; 0 along dimensions of the batch in which a matrix is repeated. */
typedef struct {
  int32_t batches[3];
  int32_t left_batch_step[3];
  int32_t right_batch_step[3];
  int32_t rows;
  int32_t depth;
  int32_t columns;
  int32_t left_row_step;
  int32_t left_depth_step;
  int32_t right_depth_step;
  int32_t right_column_step;
  int32_t left_zero_point;
  int32_t right_zero_point;
  int32_t multiplier;
  int32_t shift;
  tinyml_requantization output;
} tinyml_batch_matmul_params;

/* `columns` (4 or 1) neighbouring outputs of a row. */
TINYML_INLINE void tinyml_batch_matmul_block(const tinyml_batch_matmul_params *p,
                                             const int8_t *left, const int8_t *right,
                                             int32_t columns, int8_t *output) {
  int32_t sum[4] = {0, 0, 0, 0};
  for (int32_t k = 0; k < p->depth; ++k) {
    const int32_t value = *left - p->left_zero_point;
    for (int32_t i = 0; i < columns; ++i) {
      sum[i] += value * (right[i * p->right_column_step] - p->right_zero_point);
    }
    left += p->left_depth_step;
    right += p->right_depth_step;
  }
  for (int32_t i = 0; i < columns; ++i) {
    output[i] = tinyml_requantize_by(&p->output, p->multiplier, p->shift, sum[i]);
  }
}

TINYML_INLINE int8_t *tinyml_batch_matmul_matrix(const tinyml_batch_matmul_params *p,
                                                 const int8_t *left, const int8_t *right,
                                                 int8_t *output) {
  const int32_t end_of_blocks = p->columns / 4 * 4;
  for (int32_t row = 0; row < p->rows; ++row) {
    for (int32_t i = 0; i < end_of_blocks; i += 4) {
      tinyml_batch_matmul_block(p, left, right + i * p->right_column_step, 4, output + i);
    }
    for (int32_t i = end_of_blocks; i < p->columns; ++i) {
      tinyml_batch_matmul_block(p, left, right + i * p->right_column_step, 1, output + i);
    }
    left += p->left_row_step;
    output += p->columns;
  }
  return output;
}

TINYML_KERNEL void tinyml_batch_matmul(const tinyml_batch_matmul_params *p, const int8_t *left,
                                       const int8_t *right, int8_t *output) {
  for (int32_t a = 0; a < p->batches[0]; ++a) {
    for (int32_t b = 0; b < p->batches[1]; ++b) {
      for (int32_t c = 0; c < p->batches[2]; ++c) {
        const int32_t l =
            a * p->left_batch_step[0] + b * p->left_batch_step[1] + c * p->left_batch_step[2];
        const int32_t r =
            a * p->right_batch_step[0] + b * p->right_batch_step[1] + c * p->right_batch_step[2];
        output = tinyml_batch_matmul_matrix(p, left + l, right + r, output);
      }
    }
  }
}

#endif
