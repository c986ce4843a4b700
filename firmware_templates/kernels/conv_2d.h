/* CONV_2D, int8, portable C: four output channels at a time, so that each input is loaded once for
 * four multiplications. Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/conv.h.
 *
 * Memory: for each pixel the whole window is read before each block of channels is written; see
 * tinyml_sdk/ops/overlap.py for how far the output may lie over the input.
 */
#ifndef TINYML_CONV_2D_H
#define TINYML_CONV_2D_H

#include "tinyml_requantize.h"
#include "tinyml_window.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels; /* of one group */
  int32_t output_channels;
  int32_t groups;
  int32_t input_zero_point;
  tinyml_requantization output;
} tinyml_conv_2d_params;

/* One output pixel's window: the taps inside the input, and the input of batch and group. */
typedef struct {
  const int8_t *input;
  tinyml_taps rows;
  tinyml_taps columns;
} tinyml_conv_2d_patch;

/* Adds the products of one patch with `channels` (4 or 1) filters that lie `filter_size` apart. */
TINYML_INLINE void tinyml_conv_2d_accumulate(const tinyml_conv_2d_params *p,
                                             const tinyml_conv_2d_patch *patch,
                                             const int8_t *filter, int32_t channels,
                                             int32_t sum[4]) {
  const tinyml_window *w = &p->window;
  const int32_t depth = p->input_channels;
  const int32_t filter_size = w->filter_height * w->filter_width * depth;
  const int32_t pixel_size = depth * p->groups;
  /* Neighbouring taps lie one after the other in memory unless dilated or in groups. */
  const int32_t taps_in_run =
      w->dilation_width == 1 && p->groups == 1 ? patch->columns.end - patch->columns.begin : 1;
  int32_t sum0 = sum[0], sum1 = sum[1], sum2 = sum[2], sum3 = sum[3];
  for (int32_t row = patch->rows.begin; row < patch->rows.end; ++row) {
    const int32_t y = patch->rows.origin + row * w->dilation_height;
    for (int32_t column = patch->columns.begin; column < patch->columns.end;
         column += taps_in_run) {
      const int32_t x = patch->columns.origin + column * w->dilation_width;
      const int8_t *input = patch->input + (y * w->input_width + x) * pixel_size;
      const int8_t *weights = filter + (row * w->filter_width + column) * depth;
      for (int32_t i = 0; i < taps_in_run * depth; ++i) {
        const int32_t value = input[i] - p->input_zero_point;
        sum0 += value * weights[i];
        if (channels == 4) {
          sum1 += value * weights[i + filter_size];
          sum2 += value * weights[i + 2 * filter_size];
          sum3 += value * weights[i + 3 * filter_size];
        }
      }
    }
  }
  sum[0] = sum0;
  sum[1] = sum1;
  sum[2] = sum2;
  sum[3] = sum3;
}

/* Computes the output channels of one pixel and one group. */
TINYML_INLINE void tinyml_conv_2d_pixel(const tinyml_conv_2d_params *p,
                                        const tinyml_conv_2d_patch *patch, int32_t group,
                                        const int8_t *weights, const int32_t *bias,
                                        tinyml_multipliers scale, int8_t *output) {
  const int32_t filter_size = p->window.filter_height * p->window.filter_width * p->input_channels;
  const int32_t count = p->output_channels / p->groups;
  const int32_t begin = group * count;
  const int32_t end_of_blocks = begin + count / 4 * 4;
  for (int32_t channel = begin; channel < end_of_blocks; channel += 4) {
    int32_t sum[4] = {bias[channel], bias[channel + 1], bias[channel + 2], bias[channel + 3]};
    tinyml_conv_2d_accumulate(p, patch, weights + channel * filter_size, 4, sum);
    for (int32_t i = 0; i < 4; ++i) {
      output[channel + i] = tinyml_requantize(&p->output, scale, channel + i, sum[i]);
    }
  }
  for (int32_t channel = end_of_blocks; channel < begin + count; ++channel) {
    int32_t sum[4] = {bias[channel], 0, 0, 0};
    tinyml_conv_2d_accumulate(p, patch, weights + channel * filter_size, 1, sum);
    output[channel] = tinyml_requantize(&p->output, scale, channel, sum[0]);
  }
}

/* input: NHWC. weights: [output channel][row][column][input channel of the group]. */
TINYML_KERNEL void tinyml_conv_2d(const tinyml_conv_2d_params *p, const int8_t *input,
                                  const int8_t *weights, const int32_t *bias,
                                  const int32_t *multiplier, const int8_t *shift, int8_t *output) {
  const tinyml_window *w = &p->window;
  const tinyml_multipliers scale = {multiplier, shift};
  const int32_t pixel_size = p->input_channels * p->groups;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      const tinyml_taps rows = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        for (int32_t group = 0; group < p->groups; ++group) {
          const tinyml_conv_2d_patch patch = {input + group * p->input_channels, rows,
                                              tinyml_columns_inside(w, x)};
          tinyml_conv_2d_pixel(p, &patch, group, weights, bias, scale, output);
        }
        output += p->output_channels;
      }
    }
    input += w->input_height * w->input_width * pixel_size;
  }
}

#endif
