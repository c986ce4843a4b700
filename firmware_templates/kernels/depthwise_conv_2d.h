/* DEPTHWISE_CONV_2D, int8, portable C: four output channels at a time.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
 *
 * The input's zero point is already in the bias, as if all taps were inside the input; a tap in the
 * padding reads the zero point. So an unrolled window inside costs three instructions a tap.
 *
 * Memory: a channel's window is read before the channel is written, channels in order, as
 * tinyml_sdk/ops/overlap.py has it for channelwise kernels.
 */
#ifndef TINYML_DEPTHWISE_CONV_2D_H
#define TINYML_DEPTHWISE_CONV_2D_H

#include "tinyml_requantize.h"
#include "tinyml_window.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t depth_multiplier; /* output channels for each input channel */
  int32_t input_zero_point;
  int32_t stays_inside; /* whether no window reaches into the padding */
  tinyml_requantization output;
} tinyml_depthwise_conv_2d_params;

/* One output pixel's window: the taps inside the input, and the input of its batch. */
typedef struct {
  const int8_t *input;
  tinyml_taps rows;
  tinyml_taps columns;
} tinyml_depthwise_conv_2d_patch;

/* Adds the products of a window with the filters of `lanes` (4 or 1) output channels. */
TINYML_INLINE void tinyml_depthwise_conv_2d_taps(const tinyml_depthwise_conv_2d_params *p,
                                                 const tinyml_depthwise_conv_2d_patch *patch,
                                                 const int8_t *filter, int32_t channel,
                                                 int32_t lanes, int32_t sum[4]) {
  const tinyml_window *w = &p->window;
  const tinyml_taps rows = patch->rows, columns = patch->columns;
  const int32_t filter_size = w->filter_height * w->filter_width;
  /* Four lanes that read one input channel: the compiler cannot know that they start a block. */
  const int32_t is_shared = lanes == 4 && p->depth_multiplier % 4 == 0;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    const int32_t y = rows.origin + row * w->dilation_height;
    for (int32_t column = 0; column < w->filter_width; ++column) {
      const int32_t x = columns.origin + column * w->dilation_width;
      const int8_t *weights = filter + row * w->filter_width + column;
      const int32_t is_inside =
          row >= rows.begin && row < rows.end && column >= columns.begin && column < columns.end;
      for (int32_t i = 0; i < lanes; ++i) {
        const int32_t lane = channel + (is_shared ? 0 : i);
        const int32_t source = p->depth_multiplier == 1 ? lane : lane / p->depth_multiplier;
        const int32_t value =
            is_inside ? patch->input[(y * w->input_width + x) * p->input_channels + source]
                      : p->input_zero_point;
        sum[i] += value * weights[i * filter_size];
      }
    }
  }
}

/* Writes `lanes` (4 or 1) neighbouring output channels of one pixel. */
TINYML_INLINE void tinyml_depthwise_conv_2d_lanes(const tinyml_depthwise_conv_2d_params *p,
                                                  const tinyml_depthwise_conv_2d_patch *patch,
                                                  const int8_t *weights, const int32_t *bias,
                                                  tinyml_multipliers scale, int32_t channel,
                                                  int32_t lanes, int8_t *output) {
  const int8_t *filter = weights + channel * p->window.filter_height * p->window.filter_width;
  int32_t sum[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < lanes; ++i) {
    sum[i] = bias[channel + i];
  }
  tinyml_depthwise_conv_2d_taps(p, patch, filter, channel, lanes, sum);
  for (int32_t i = 0; i < lanes; ++i) {
    output[channel + i] = tinyml_requantize(&p->output, scale, channel + i, sum[i]);
  }
}

TINYML_INLINE void tinyml_depthwise_conv_2d_pixel(const tinyml_depthwise_conv_2d_params *p,
                                                  const tinyml_depthwise_conv_2d_patch *patch,
                                                  const int8_t *weights, const int32_t *bias,
                                                  tinyml_multipliers scale, int8_t *output) {
  const int32_t channels = p->input_channels * p->depth_multiplier;
  const int32_t end_of_blocks = channels / 4 * 4;
  for (int32_t channel = 0; channel < end_of_blocks; channel += 4) {
    tinyml_depthwise_conv_2d_lanes(p, patch, weights, bias, scale, channel, 4, output);
  }
  for (int32_t channel = end_of_blocks; channel < channels; ++channel) {
    tinyml_depthwise_conv_2d_lanes(p, patch, weights, bias, scale, channel, 1, output);
  }
}

/* input: NHWC. weights: [output channel][row][column]. */
TINYML_KERNEL void tinyml_depthwise_conv_2d(const tinyml_depthwise_conv_2d_params *p,
                                            const int8_t *input, const int8_t *weights,
                                            const int32_t *bias, const int32_t *multiplier,
                                            const int8_t *shift, int8_t *output) {
  const tinyml_window *w = &p->window;
  const tinyml_multipliers scale = {multiplier, shift};
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      const tinyml_taps rows = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        const tinyml_taps columns = tinyml_columns_inside(w, x);
        const tinyml_depthwise_conv_2d_patch patch = {input, rows, columns};
        if (p->stays_inside || (tinyml_all_taps_inside(&rows, w->filter_height) &&
                                tinyml_all_taps_inside(&columns, w->filter_width))) {
          /* The same patch with literal bounds: the compiler unrolls the taps without checks. */
          const tinyml_depthwise_conv_2d_patch whole = {
              input, {rows.origin, 0, w->filter_height}, {columns.origin, 0, w->filter_width}};
          tinyml_depthwise_conv_2d_pixel(p, &whole, weights, bias, scale, output);
        } else {
          tinyml_depthwise_conv_2d_pixel(p, &patch, weights, bias, scale, output);
        }
        output += p->input_channels * p->depth_multiplier;
      }
    }
    input += w->input_height * w->input_width * p->input_channels;
  }
}

#endif
