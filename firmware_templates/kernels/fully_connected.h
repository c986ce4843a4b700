/* FULLY_CONNECTED and pointwise CONV_2D, int8, portable C: each row of the input times a matrix.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h.
 *
 * The input's zero point is already in the bias (bias - zero_point * sum of weights), which the
 * host does when no partial sum can overflow; so inputs are used as they lie in memory.
 * Memory: a row of the input is read again for each block of four channels of its output row.
 */
#ifndef TINYML_FULLY_CONNECTED_H
#define TINYML_FULLY_CONNECTED_H

#include "tinyml_requantize.h"

typedef struct {
  int32_t rows; /* batches, or pixels */
  int32_t depth;
  int32_t output_channels;
  tinyml_requantization output;
} tinyml_fully_connected_params;

/* weights: [output channel][depth]. */
TINYML_KERNEL void tinyml_fully_connected(const tinyml_fully_connected_params *p,
                                          const int8_t *input, const int8_t *weights,
                                          const int32_t *bias, const int32_t *multiplier,
                                          const int8_t *shift, int8_t *output) {
  const tinyml_multipliers scale = {multiplier, shift};
  const int32_t depth = p->depth;
  const int32_t end_of_blocks = p->output_channels / 4 * 4;
  for (int32_t row = 0; row < p->rows; ++row) {
    const int8_t *filter = weights;
    for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
      int32_t sum0 = bias[channel], sum1 = bias[channel + 1];
      int32_t sum2 = bias[channel + 2], sum3 = bias[channel + 3];
      for (int32_t i = 0; i < depth; ++i) {
        const int32_t value = input[i];
        sum0 += value * filter[i];
        sum1 += value * filter[i + depth];
        sum2 += value * filter[i + 2 * depth];
        sum3 += value * filter[i + 3 * depth];
      }
      output[channel] = tinyml_requantize(&p->output, scale, channel, sum0);
      output[channel + 1] = tinyml_requantize(&p->output, scale, channel + 1, sum1);
      output[channel + 2] = tinyml_requantize(&p->output, scale, channel + 2, sum2);
      output[channel + 3] = tinyml_requantize(&p->output, scale, channel + 3, sum3);
      filter += 4 * depth;
    }
    for (int32_t channel = end_of_blocks; channel < p->output_channels; ++channel) {
      int32_t sum = bias[channel];
      for (int32_t i = 0; i < depth; ++i) {
        sum += input[i] * filter[i];
      }
      output[channel] = tinyml_requantize(&p->output, scale, channel, sum);
      filter += depth;
    }
    input += depth;
    output += p->output_channels;
  }
}

#endif
