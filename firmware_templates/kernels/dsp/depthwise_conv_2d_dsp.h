/* DEPTHWISE_CONV_2D, int8, for cores with the DSP extension: any filter, stride, dilation and depth
 * multiplier, four output channels at a time. Equals depthwise_conv_2d.h to the bit.
 *
 * (tinyml_dsp_depthwise.h has the faster 3x3.) A word holds the inputs of four channels at one tap,
 * another one their weights, which the host has put tap by tap: 12 instructions for four products.
 * The input's zero point is in the bias, and taps in the padding read it.
 *
 * Memory: a channel's window is read before the channel is written, channels in order, as
 * tinyml_sdk/ops/overlap.py has it for channelwise kernels.
 */
#ifndef TINYML_DEPTHWISE_CONV_2D_DSP_H
#define TINYML_DEPTHWISE_CONV_2D_DSP_H

#include "../tinyml_requantize.h"
#include "../tinyml_window.h"
#include "tinyml_dsp.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t depth_multiplier; /* output channels for each input channel */
  int32_t input_zero_point;
  tinyml_requantization output;
} tinyml_depthwise_conv_2d_dsp_params;

/* Four channels at one tap. */
TINYML_INLINE void tinyml_depthwise_dsp_tap(uint32_t inputs, uint32_t weights, int32_t sums[4]) {
  const uint32_t even = tinyml_sxtb16(inputs), odd = tinyml_sxtb16_odd(inputs);
  const uint32_t even_weights = tinyml_sxtb16(weights), odd_weights = tinyml_sxtb16_odd(weights);
  sums[0] = tinyml_smlabb(even, even_weights, sums[0]);
  sums[1] = tinyml_smlabb(odd, odd_weights, sums[1]);
  sums[2] = tinyml_smlatt(even, even_weights, sums[2]);
  sums[3] = tinyml_smlatt(odd, odd_weights, sums[3]);
}

/* Taps in a line: what is read at each, and how far it is to the next. */
typedef struct {
  const int8_t *inputs;
  int32_t input_step;
  const int8_t *weights;
  int32_t weight_step;
  int32_t count;
} tinyml_depthwise_dsp_line;

/* Four output channels that read four neighbouring input channels. */
TINYML_SHARED void tinyml_depthwise_dsp_words(const tinyml_depthwise_dsp_line *line,
                                              int32_t sums[4]) {
  const int8_t *inputs = line->inputs, *weights = line->weights;
  /* In registers: clang would load them again at each tap. */
  const int32_t input_step = tinyml_in_register(line->input_step);
  const int32_t weight_step = tinyml_in_register(line->weight_step);
  int32_t local[4] = {sums[0], sums[1], sums[2], sums[3]};
  for (int32_t left = line->count; left > 0; --left) {
    tinyml_depthwise_dsp_tap(tinyml_load_word(inputs), tinyml_load_word(weights), local);
    inputs += input_step;
    weights += weight_step;
  }
  sums[0] = local[0];
  sums[1] = local[1];
  sums[2] = local[2];
  sums[3] = local[3];
}

/* Output channels that read others: `source` has each one's distance from the first. */
TINYML_SHARED void tinyml_depthwise_dsp_bytes(const tinyml_depthwise_dsp_line *line,
                                              const int32_t source[4], int32_t sums[4]) {
  tinyml_depthwise_dsp_line tap = *line;
  int8_t inputs[4];
  tap.inputs = inputs;
  tap.count = 1;
  for (int32_t i = 0; i < line->count; ++i) {
    const int8_t *from = line->inputs + i * line->input_step;
    inputs[0] = from[source[0]];
    inputs[1] = from[source[1]];
    inputs[2] = from[source[2]];
    inputs[3] = from[source[3]];
    tinyml_depthwise_dsp_words(&tap, sums);
    tap.weights += line->weight_step;
  }
}

/* The filter along one dimension of the image. */
typedef struct {
  tinyml_taps taps;
  int32_t size;
  int32_t input_step;
  int32_t weight_step;
} tinyml_depthwise_dsp_axis;

/* The sums of four channels. input: of the batch. offset: where tap 0 of the first channel would
 * be in it. The inner axis is the longer one. */
TINYML_SHARED void tinyml_depthwise_dsp_window(const tinyml_depthwise_dsp_axis *outer,
                                               const tinyml_depthwise_dsp_axis *inner,
                                               const int8_t *input, int32_t offset,
                                               const int8_t *weights, int32_t zero_point,
                                               const int32_t *source, int32_t sums[4]) {
  const int8_t zero = (int8_t)zero_point;
  const int8_t padding[4] = {zero, zero, zero, zero};
  for (int32_t i = 0; i < outer->size; ++i) {
    const int32_t inside = i >= outer->taps.begin && i < outer->taps.end;
    const int32_t begin = inside ? inner->taps.begin : inner->size;
    const int32_t end = inside ? inner->taps.end : inner->size;
    tinyml_depthwise_dsp_line line = {padding, 0, weights, inner->weight_step, begin};
    if (begin > 0) {
      tinyml_depthwise_dsp_words(&line, sums);
    }
    if (end > begin) {
      line.inputs = input + (offset + begin * inner->input_step);
      line.input_step = inner->input_step;
      line.weights = weights + begin * inner->weight_step;
      line.count = end - begin;
      if (source == NULL) {
        tinyml_depthwise_dsp_words(&line, sums);
      } else {
        tinyml_depthwise_dsp_bytes(&line, source, sums);
      }
    }
    if (inner->size > end) {
      line.inputs = padding;
      line.input_step = 0;
      line.weights = weights + end * inner->weight_step;
      line.count = inner->size - end;
      tinyml_depthwise_dsp_words(&line, sums);
    }
    offset += outer->input_step;
    weights += outer->weight_step;
  }
}

/* All channels of one output pixel. */
TINYML_INLINE void tinyml_depthwise_dsp_pixel(const tinyml_depthwise_conv_2d_dsp_params *p,
                                              const tinyml_depthwise_dsp_axis *outer,
                                              const tinyml_depthwise_dsp_axis *inner,
                                              const int8_t *input, int32_t offset,
                                              const int8_t *weights, const int32_t *bias,
                                              tinyml_multipliers scale, int8_t *output) {
  const int32_t multiplier = p->depth_multiplier;
  const int32_t channels = p->input_channels * multiplier;
  for (int32_t channel = 0; channel < channels; channel += 4) {
    const int32_t lanes = tinyml_min(4, channels - channel);
    int32_t sums[4];
    if (multiplier == 1 && lanes == 4) {
      sums[0] = bias[channel];
      sums[1] = bias[channel + 1];
      sums[2] = bias[channel + 2];
      sums[3] = bias[channel + 3];
      tinyml_depthwise_dsp_window(outer, inner, input, offset + channel, weights + channel,
                                  p->input_zero_point, NULL, sums);
    } else {
      /* The last channels of a number that is no multiple of four: one of them is read again. */
      const int32_t first = channel / multiplier;
      int32_t source[4];
      for (int32_t i = 0; i < 4; ++i) {
        const int32_t lane = channel + tinyml_min(i, lanes - 1);
        sums[i] = bias[lane];
        source[i] = lane / multiplier - first;
      }
      tinyml_depthwise_dsp_window(outer, inner, input, offset + first, weights + channel,
                                  p->input_zero_point, source, sums);
    }
    for (int32_t i = 0; i < lanes; ++i) {
      output[channel + i] = tinyml_requantize(&p->output, scale, channel + i, sums[i]);
    }
  }
}

/* input: NHWC. weights: [row][column][output channel], and three bytes more. */
TINYML_KERNEL void tinyml_depthwise_conv_2d_dsp(const tinyml_depthwise_conv_2d_dsp_params *p,
                                                const int8_t *input, const int8_t *weights,
                                                const int32_t *bias, const int32_t *multiplier,
                                                const int8_t *shift, int8_t *output) {
  const tinyml_window *w = &p->window;
  const tinyml_multipliers scale = {multiplier, shift};
  const int32_t channels = p->input_channels * p->depth_multiplier;
  tinyml_depthwise_dsp_axis rows, columns;
  rows.size = w->filter_height;
  rows.input_step = w->dilation_height * w->input_width * p->input_channels;
  rows.weight_step = w->filter_width * channels;
  columns.size = w->filter_width;
  columns.input_step = w->dilation_width * p->input_channels;
  columns.weight_step = channels;
  const int32_t is_tall = w->filter_height > w->filter_width;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      rows.taps = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        columns.taps = tinyml_columns_inside(w, x);
        tinyml_depthwise_dsp_pixel(p, is_tall ? &columns : &rows, is_tall ? &rows : &columns, input,
                                   (rows.taps.origin * w->input_width + columns.taps.origin) *
                                       p->input_channels,
                                   weights, bias, scale, output);
        output += channels;
      }
    }
    input += w->input_height * w->input_width * p->input_channels;
  }
}

#endif
