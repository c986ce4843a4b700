/* RESIZE_BILINEAR, int8, portable C: each output is a weighted mean of four neighbouring pixels.
 * Arithmetic: ResizeBilinearInteger in
 * tensorflow/lite/kernels/internal/reference/resize_bilinear.h; sums have 28 bits.
 *
 * Memory: outputs are written in order, each channel after its four inputs are read. The host finds
 * out how far above the output the input must start for what is still to be read.
 */
#ifndef TINYML_RESIZE_BILINEAR_H
#define TINYML_RESIZE_BILINEAR_H

#include "tinyml_elementwise.h"

typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t channels;
} tinyml_resize_bilinear_params;

TINYML_INLINE void tinyml_resize_bilinear_pixel(const int8_t *pixel, int32_t below, int32_t right,
                                                int32_t weight_y, int32_t weight_x,
                                                int32_t channels, int8_t *output) {
  for (int32_t i = 0; i < channels; ++i) {
    const int32_t upper = pixel[i] * (1024 - weight_x) + pixel[i + right] * weight_x;
    const int32_t lower =
        pixel[i + below] * (1024 - weight_x) + pixel[i + below + right] * weight_x;
    const int32_t sum = upper * (1024 - weight_y) + lower * weight_y;
    output[i] = (int8_t)tinyml_shift_right_small(sum, 20);
  }
}

/* first_row, first_column: of each output row or column, the upper or left neighbour in the input.
 * row_weight, column_weight: in 1024ths, that of the next one, which is not read where it is 0. */
TINYML_KERNEL void tinyml_resize_bilinear(const tinyml_resize_bilinear_params *p,
                                          const int8_t *input, const int16_t *first_row,
                                          const int16_t *row_weight, const int16_t *first_column,
                                          const int16_t *column_weight, int8_t *output) {
  const int32_t row_size = p->input_width * p->channels;
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    for (int32_t y = 0; y < p->output_height; ++y) {
      const int8_t *row = input + first_row[y] * row_size;
      const int32_t below = row_weight[y] > 0 ? row_size : 0;
      for (int32_t x = 0; x < p->output_width; ++x) {
        const int8_t *pixel = row + first_column[x] * p->channels;
        const int32_t right = column_weight[x] > 0 ? p->channels : 0;
        tinyml_resize_bilinear_pixel(pixel, below, right, row_weight[y], column_weight[x],
                                     p->channels, output);
        output += p->channels;
      }
    }
    input += p->input_height * row_size;
  }
}

#endif
