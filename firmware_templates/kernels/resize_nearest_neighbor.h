/* RESIZE_NEAREST_NEIGHBOR, bytes, portable C: each input pixel, row and column is written as often
 * as the host has counted with TFLM's arithmetic, from never to many times.
 * Semantics: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h.
 *
 * Memory: input and output are walked forwards, and further copies of a row are made of the first,
 * not of the input. The host finds out how far above the output the input must start.
 */
#ifndef TINYML_RESIZE_NEAREST_NEIGHBOR_H
#define TINYML_RESIZE_NEAREST_NEIGHBOR_H

#include "tinyml_bytes.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_width;
  int32_t channels;
} tinyml_resize_nearest_neighbor_params;

/* rows, columns: how often each of the input's is written. */
TINYML_KERNEL void tinyml_resize_nearest_neighbor(const tinyml_resize_nearest_neighbor_params *p,
                                                  const int8_t *input, const int16_t *rows,
                                                  const int16_t *columns, int8_t *output) {
  const int32_t output_row = p->output_width * p->channels;
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    for (int32_t y = 0; y < p->input_height; ++y) {
      if (rows[y] > 0) {
        const int8_t *pixel = input;
        for (int32_t x = 0; x < p->input_width; ++x) {
          for (int32_t i = 0; i < columns[x]; ++i) {
            tinyml_copy(output, pixel, p->channels);
            output += p->channels;
          }
          pixel += p->channels;
        }
      }
      for (int32_t i = 1; i < rows[y]; ++i) {
        tinyml_copy(output, output - output_row, output_row);
        output += output_row;
      }
      input += p->input_width * p->channels;
    }
  }
}

#endif
