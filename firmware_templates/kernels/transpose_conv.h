/* TRANSPOSE_CONV, int8, portable C: for each output pixel the input pixels that reach it, four
 * output channels at a time. TFLM goes through the input instead, and adds up in a 32-bit copy of
 * the output; the sums are the same.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/transpose_conv.h.
 *
 * Memory: for each pixel all that reaches it is read before each block of channels is written; the
 * host finds out how far the output may lie over the input.
 */
#ifndef TINYML_TRANSPOSE_CONV_H
#define TINYML_TRANSPOSE_CONV_H

#include "tinyml_requantize.h"

/* Sizes of input, output and filter as the layer's names have it: the filter is moved over the
 * output by the stride for each step over the input. */
typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t filter_height;
  int32_t filter_width;
  int32_t stride_height;
  int32_t stride_width;
  int32_t padding_top;
  int32_t padding_left;
  int32_t input_channels;
  int32_t output_channels;
  int32_t input_zero_point;
  tinyml_requantization output;
} tinyml_transpose_conv_params;

/* The taps along one axis that reach an output position: tap `first` from input position `origin`,
 * then every stride-th tap from the position before. */
typedef struct {
  int32_t first;
  int32_t origin;
  int32_t count;
} tinyml_transpose_conv_reach;

TINYML_INLINE tinyml_transpose_conv_reach tinyml_transpose_conv_reaching(int32_t position,
                                                                         int32_t stride,
                                                                         int32_t filter_size,
                                                                         int32_t input_size) {
  tinyml_transpose_conv_reach reach;
  const int32_t last = input_size - 1;
  const int32_t nearest = position / stride;
  reach.origin = nearest < last ? nearest : last;
  reach.first = position - reach.origin * stride;
  /* Both ends bound the count: the filter's, and the input's. */
  const int32_t taps = (filter_size - reach.first + stride - 1) / stride;
  reach.count = reach.first >= filter_size ? 0 : tinyml_min(taps, reach.origin + 1);
  return reach;
}

/* Adds the products of `channels` (4 or 1) filters that lie `filter_size` apart. */
TINYML_INLINE void tinyml_transpose_conv_accumulate(const tinyml_transpose_conv_params *p,
                                                    const int8_t *input,
                                                    const tinyml_transpose_conv_reach *rows,
                                                    const tinyml_transpose_conv_reach *columns,
                                                    const int8_t *filter, int32_t channels,
                                                    int32_t sum[4]) {
  const int32_t depth = p->input_channels;
  const int32_t filter_size = p->filter_height * p->filter_width * depth;
  int32_t sum0 = sum[0], sum1 = sum[1], sum2 = sum[2], sum3 = sum[3];
  for (int32_t row = 0; row < rows->count; ++row) {
    const int32_t y = rows->origin - row;
    const int32_t filter_row = (rows->first + row * p->stride_height) * p->filter_width;
    for (int32_t column = 0; column < columns->count; ++column) {
      const int32_t x = columns->origin - column;
      const int32_t filter_column = columns->first + column * p->stride_width;
      const int8_t *pixel = input + (y * p->input_width + x) * depth;
      const int8_t *weights = filter + (filter_row + filter_column) * depth;
      for (int32_t i = 0; i < depth; ++i) {
        const int32_t value = pixel[i] - p->input_zero_point;
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

/* input: NHWC. weights: [output channel][row][column][input channel]. */
TINYML_KERNEL void tinyml_transpose_conv(const tinyml_transpose_conv_params *p, const int8_t *input,
                                         const int8_t *weights, const int32_t *bias,
                                         const int32_t *multiplier, const int8_t *shift,
                                         int8_t *output) {
  const tinyml_multipliers scale = {multiplier, shift};
  const int32_t filter_size = p->filter_height * p->filter_width * p->input_channels;
  const int32_t end_of_blocks = p->output_channels / 4 * 4;
  for (int32_t batch = 0; batch < p->batches; ++batch) {
    for (int32_t y = 0; y < p->output_height; ++y) {
      const tinyml_transpose_conv_reach rows = tinyml_transpose_conv_reaching(
          y + p->padding_top, p->stride_height, p->filter_height, p->input_height);
      for (int32_t x = 0; x < p->output_width; ++x) {
        const tinyml_transpose_conv_reach columns = tinyml_transpose_conv_reaching(
            x + p->padding_left, p->stride_width, p->filter_width, p->input_width);
        for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
          int32_t sum[4] = {bias[channel], bias[channel + 1], bias[channel + 2], bias[channel + 3]};
          tinyml_transpose_conv_accumulate(p, input, &rows, &columns,
                                           weights + channel * filter_size, 4, sum);
          for (int32_t i = 0; i < 4; ++i) {
            output[channel + i] = tinyml_requantize(&p->output, scale, channel + i, sum[i]);
          }
        }
        for (int32_t channel = end_of_blocks; channel < p->output_channels; ++channel) {
          int32_t sum[4] = {bias[channel], 0, 0, 0};
          tinyml_transpose_conv_accumulate(p, input, &rows, &columns,
                                           weights + channel * filter_size, 1, sum);
          output[channel] = tinyml_requantize(&p->output, scale, channel, sum[0]);
        }
        output += p->output_channels;
      }
    }
    input += p->input_height * p->input_width * p->input_channels;
  }
}

#endif
