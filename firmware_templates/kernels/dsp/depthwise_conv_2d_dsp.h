/* DEPTHWISE_CONV_2D, int8, for cores with the DSP extension: any filter of up to
 * TINYML_DEPTHWISE_TAPS taps, stride, dilation and depth multiplier, four output channels at a
 * time. Equals depthwise_conv_2d.h to the bit.
 *
 * (tinyml_dsp_depthwise.h has the faster 3x3.) For each pixel a table says where its taps lie;
 * those in the padding, and one that makes their number even, in a line of zero points, which the
 * bias takes into account. The words of two taps, of four channels each, make four pairs of int16,
 * and an SMLAD each adds two products.
 *
 * Weights. Of each four channels, for each two taps: a word of two channels at the first tap and at
 * the second, and one of the other two channels.
 *
 * Memory: a channel's window is read before the channel is written, channels in order, as
 * tinyml_sdk/ops/overlap.py has it for channelwise kernels.
 */
#ifndef TINYML_DEPTHWISE_CONV_2D_DSP_H
#define TINYML_DEPTHWISE_CONV_2D_DSP_H

#include "../tinyml_window.h"
#include "tinyml_dsp_matrix.h"

#define TINYML_DEPTHWISE_TAPS 64 /* and one that makes them even */

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t depth_multiplier; /* output channels for each input channel */
  int32_t input_zero_point;
  tinyml_requantization output;
} tinyml_depthwise_conv_2d_dsp_params;

/* Four channels at two taps. */
TINYML_INLINE void tinyml_depthwise_dsp_pair(uint32_t first, uint32_t second,
                                             const int32_t weights[2], int32_t sums[4]) {
  const uint32_t low = tinyml_pkhbt(first, second), high = tinyml_pkhtb(second, first);
  const uint32_t low_weights = (uint32_t)weights[0], high_weights = (uint32_t)weights[1];
  sums[0] = tinyml_smlad(tinyml_sxtb16(low), tinyml_sxtb16(low_weights), sums[0]);
  sums[1] = tinyml_smlad(tinyml_sxtb16_odd(low), tinyml_sxtb16_odd(low_weights), sums[1]);
  sums[2] = tinyml_smlad(tinyml_sxtb16(high), tinyml_sxtb16(high_weights), sums[2]);
  sums[3] = tinyml_smlad(tinyml_sxtb16_odd(high), tinyml_sxtb16_odd(high_weights), sums[3]);
}

/* Four output channels that read the input channels from `channel` on. */
TINYML_INLINE void tinyml_depthwise_dsp_words(const int8_t *const *taps, int32_t pairs,
                                              int32_t channel, const int32_t *weights,
                                              int32_t sums[4]) {
  int32_t local[4] = {sums[0], sums[1], sums[2], sums[3]};
  TINYML_ROLLED
  for (; pairs > 0; --pairs) {
    tinyml_depthwise_dsp_pair(tinyml_load_word(taps[0] + channel),
                              tinyml_load_word(taps[1] + channel), weights, local);
    taps += 2;
    weights += 2;
  }
  sums[0] = local[0];
  sums[1] = local[1];
  sums[2] = local[2];
  sums[3] = local[3];
}

/* What four output channels read of a tap: any input channels. */
TINYML_INLINE uint32_t tinyml_depthwise_dsp_bytes(const int8_t *tap, const int32_t source[4]) {
  return (uint32_t)(uint8_t)tap[source[0]] | (uint32_t)(uint8_t)tap[source[1]] << 8 |
         (uint32_t)(uint8_t)tap[source[2]] << 16 | (uint32_t)(uint8_t)tap[source[3]] << 24;
}

/* Four output channels that read any input channels. */
TINYML_SHARED void tinyml_depthwise_dsp_others(const int8_t *const *taps, int32_t pairs,
                                               const int32_t source[4], const int32_t *weights,
                                               int32_t sums[4]) {
  TINYML_ROLLED
  for (; pairs > 0; --pairs) {
    tinyml_depthwise_dsp_pair(tinyml_depthwise_dsp_bytes(taps[0], source),
                              tinyml_depthwise_dsp_bytes(taps[1], source), weights, sums);
    taps += 2;
    weights += 2;
  }
}

/* Where the taps of a pixel lie. Returns the end of the table. */
TINYML_INLINE const int8_t **tinyml_depthwise_dsp_find(const tinyml_window *w, tinyml_taps rows,
                                                       tinyml_taps columns, const int8_t *input,
                                                       int32_t channels, const int8_t *padding,
                                                       const int8_t **taps) {
  const int32_t step = w->dilation_width * channels;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    const int32_t inside = row >= rows.begin && row < rows.end;
    const int32_t begin = inside ? columns.begin : w->filter_width;
    const int32_t end = inside ? columns.end : w->filter_width;
    const int32_t y = rows.origin + row * w->dilation_height;
    int32_t at = (y * w->input_width + columns.origin) * channels + begin * step;
    int32_t column = 0;
    TINYML_ROLLED
    for (; column < begin; ++column) {
      *taps++ = padding;
    }
    TINYML_ROLLED
    for (; column < end; ++column) {
      *taps++ = input + at;
      at += step;
    }
    TINYML_ROLLED
    for (; column < w->filter_width; ++column) {
      *taps++ = padding;
    }
  }
  return taps;
}

/* A layer's constants from a channel on. */
typedef struct {
  const int32_t *weights;
  const int32_t *bias;
  tinyml_dsp_scales scales;
} tinyml_depthwise_dsp_constants;

/* Output channels in fours of one pixel. */
TINYML_INLINE void tinyml_depthwise_dsp_blocks(int32_t form, const tinyml_requantization *p,
                                               const int8_t *const *taps, int32_t pairs,
                                               int32_t channels,
                                               const tinyml_depthwise_dsp_constants *constants,
                                               int8_t *output) {
  const int32_t *weights = constants->weights, *bias = constants->bias;
  tinyml_dsp_scales scales = constants->scales;
  for (int32_t channel = 0; channel < channels; channel += 4) {
    int32_t sums[4] = {bias[0], bias[1], bias[2], bias[3]};
    tinyml_depthwise_dsp_words(taps, pairs, channel, weights, sums);
    output[0] = tinyml_dsp_requantize(form, p, scales, 0, sums[0]);
    output[1] = tinyml_dsp_requantize(form, p, scales, 1, sums[1]);
    output[2] = tinyml_dsp_requantize(form, p, scales, 2, sums[2]);
    output[3] = tinyml_dsp_requantize(form, p, scales, 3, sums[3]);
    weights += 2 * pairs;
    bias += 4;
    scales.scale += 8;
    scales.shift += 4;
    output += 4;
  }
}

#define TINYML_DEPTHWISE_DSP_BLOCKS(name, form)                                                    \
  TINYML_SHARED void tinyml_depthwise_dsp_blocks_##name(                                           \
      const tinyml_requantization *p, const int8_t *const *taps, int32_t pairs, int32_t channels,  \
      const tinyml_depthwise_dsp_constants *constants, int8_t *output) {                           \
    tinyml_depthwise_dsp_blocks(form, p, taps, pairs, channels, constants, output);                \
  }

TINYML_DEPTHWISE_DSP_BLOCKS(clamped, TINYML_FORM_CLAMPED)
TINYML_DEPTHWISE_DSP_BLOCKS(signed, TINYML_FORM_SIGNED)
TINYML_DEPTHWISE_DSP_BLOCKS(general, TINYML_FORM_GENERAL)

/* The output channels of one pixel from `channel` on, which do not lie in words of the input, or
 * not in whole ones. */
TINYML_SHARED void tinyml_depthwise_dsp_rest(int32_t form,
                                             const tinyml_depthwise_conv_2d_dsp_params *p,
                                             const int8_t *const *taps, int32_t pairs,
                                             const tinyml_depthwise_dsp_constants *constants,
                                             int32_t channel, int8_t *output) {
  const int32_t multiplier = p->depth_multiplier;
  const int32_t channels = p->input_channels * multiplier;
  const int32_t *weights = constants->weights + channel / 4 * 2 * pairs;
  for (; channel < channels; channel += 4) {
    const int32_t lanes = tinyml_min(4, channels - channel);
    int32_t sums[4], source[4];
    for (int32_t i = 0; i < 4; ++i) {
      const int32_t lane = channel + tinyml_min(i, lanes - 1);
      sums[i] = constants->bias[lane];
      source[i] = lane / multiplier;
    }
    tinyml_depthwise_dsp_others(taps, pairs, source, weights, sums);
    weights += 2 * pairs;
    for (int32_t i = channel; i < channel + lanes; ++i) {
      output[i] = tinyml_dsp_requantize(form, &p->output, constants->scales, i, sums[i - channel]);
    }
  }
}

typedef void tinyml_depthwise_dsp_form(const tinyml_requantization *p, const int8_t *const *taps,
                                       int32_t pairs, int32_t channels,
                                       const tinyml_depthwise_dsp_constants *constants,
                                       int8_t *output);

/* input: NHWC. scratch: a byte for each input channel. */
TINYML_INLINE void tinyml_depthwise_dsp(int32_t form, tinyml_depthwise_dsp_form *blocks,
                                        const tinyml_depthwise_conv_2d_dsp_params *p,
                                        const int8_t *input,
                                        const tinyml_depthwise_dsp_constants *constants,
                                        int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const int32_t channels = p->input_channels;
  const int32_t pairs = (w->filter_height * w->filter_width + 1) / 2;
  const int32_t outputs = channels * p->depth_multiplier;
  const int32_t in_words = p->depth_multiplier == 1 ? channels / 4 * 4 : 0;
  const int8_t *taps[TINYML_DEPTHWISE_TAPS + 1];
  tinyml_fill(scratch, p->input_zero_point, channels);
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      const tinyml_taps rows = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        *tinyml_depthwise_dsp_find(w, rows, tinyml_columns_inside(w, x), input, channels, scratch,
                                   taps) = scratch;
        blocks(&p->output, taps, pairs, in_words, constants, output);
        if (in_words < outputs) {
          tinyml_depthwise_dsp_rest(form, p, taps, pairs, constants, in_words, output);
        }
        output += outputs;
      }
    }
    input += w->input_height * w->input_width * channels;
  }
}

#define TINYML_DEPTHWISE_DSP(name, form)                                                           \
  TINYML_KERNEL void tinyml_depthwise_conv_2d_dsp_##name(                                          \
      const tinyml_depthwise_conv_2d_dsp_params *p, const int8_t *input, const int32_t *weights,   \
      const int32_t *bias, const int32_t *scale, const int8_t *shift, int8_t *output,              \
      int8_t *scratch) {                                                                           \
    const tinyml_depthwise_dsp_constants constants = {weights, bias, {scale, shift}};              \
    tinyml_depthwise_dsp(form, tinyml_depthwise_dsp_blocks_##name, p, input, &constants, output,   \
                         scratch);                                                                 \
  }

TINYML_DEPTHWISE_DSP(clamped, TINYML_FORM_CLAMPED)
TINYML_DEPTHWISE_DSP(signed, TINYML_FORM_SIGNED)
TINYML_DEPTHWISE_DSP(general, TINYML_FORM_GENERAL)

#endif
