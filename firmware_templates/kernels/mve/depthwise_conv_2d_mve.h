/* DEPTHWISE_CONV_2D, int8, for cores with MVE: any filter, one for each channel. Equals
 * depthwise_conv_2d.h to the bit.
 *
 * Eight channels at a time: their inputs and weights are widened to 16 bits, and the products of
 * even and of odd channels added to four sums each. Taps in the padding are left out.
 *
 * Memory: a channel's window is read before the channel is written, channels in order, as
 * tinyml_sdk/ops/overlap.py has it for channelwise kernels.
 */
#ifndef TINYML_DEPTHWISE_CONV_2D_MVE_H
#define TINYML_DEPTHWISE_CONV_2D_MVE_H

#include "../tinyml_window.h"
#include "tinyml_mve_outputs.h"

typedef struct {
  tinyml_window window;
  int32_t channels;
  int32_t input_zero_point;
  int32_t form;       /* TINYML_MVE_… */
  int32_t scale_step; /* 8; 0 where one multiplier and shift, eight times, serve all channels */
  tinyml_requantization output;
} tinyml_depthwise_conv_2d_mve_params;

/* The sums of eight channels. */
typedef struct {
  tinyml_int32x4 even;
  tinyml_int32x4 odd;
} tinyml_depthwise_conv_2d_mve_sums;

/* Adds the products of a row of taps, each `step` bytes behind the one before, of the first `count`
 * channels. Weights of a tap lie `channels` behind those of the one before. */
TINYML_INLINE void tinyml_depthwise_conv_2d_mve_row(tinyml_depthwise_conv_2d_mve_sums *sums,
                                                    const int8_t *input, int32_t step,
                                                    int32_t zero_point, const int8_t *weights,
                                                    int32_t channels, int32_t taps, int32_t count) {
#if TINYML_HAS_MVE
  __asm__ volatile(
      "vctp.16 %[count]\n"
      "wls lr, %[taps], 2f\n"
      "1:\n"
      "vldrb.s16 q1, [%[weights]]\n"
      "vpst\n"
      "vldrbt.s16 q0, [%[input]]\n"
      "add %[weights], %[channels]\n"
      "add %[input], %[step]\n"
      "vsub.i16 q0, q0, %[zero_point]\n"
      "vmullb.s16 q2, q0, q1\n"
      "vadd.i32 %q[even], %q[even], q2\n"
      "vmullt.s16 q2, q0, q1\n"
      "vadd.i32 %q[odd], %q[odd], q2\n"
      "le lr, 1b\n"
      "2:\n"
      : [input] "+l"(input), [weights] "+l"(weights), [even] "+w"(sums->even), [odd] "+w"(sums->odd)
      : [step] "r"(step), [channels] "r"(channels), [zero_point] "r"(zero_point), [taps] "r"(taps),
        [count] "r"(count)
      : "lr", "q0", "q1", "q2", "memory");
#else
  for (; taps > 0; --taps) {
    for (int32_t i = 0; i < tinyml_min(count, 8); ++i) {
      int32_t *sum = i % 2 == 0 ? &sums->even.lane[i / 2] : &sums->odd.lane[i / 2];
      *sum += (input[i] - zero_point) * weights[i];
    }
    input += step;
    weights += channels;
  }
#endif
}

/* One pixel: the taps that lie inside, `input` being of the first of the image. */
TINYML_INLINE void
tinyml_depthwise_conv_2d_mve_pixel(int32_t form, const tinyml_depthwise_conv_2d_mve_params *p,
                                   const int8_t *input, tinyml_taps rows, tinyml_taps columns,
                                   const int8_t *weights, const int32_t *bias,
                                   const int32_t *multiplier, const int8_t *shift, int8_t *output) {
  const tinyml_window *w = &p->window;
  const int32_t channels = p->channels, taps = columns.end - columns.begin;
  const int32_t left = columns.origin + columns.begin * w->dilation_width;
  for (int32_t channel = 0; channel < channels; channel += 8) {
    const int32_t count = channels - channel;
    tinyml_depthwise_conv_2d_mve_sums sums = {tinyml_load_int32x4(bias + channel),
                                              tinyml_load_int32x4(bias + channel + 4)};
    for (int32_t row = rows.begin; row < rows.end; ++row) {
      const int32_t y = rows.origin + row * w->dilation_height;
      tinyml_depthwise_conv_2d_mve_row(
          &sums, input + (y * w->input_width + left) * channels + channel,
          w->dilation_width * channels, p->input_zero_point,
          weights + (row * w->filter_width + columns.begin) * channels + channel, channels, taps,
          count);
    }
    const tinyml_int16x8 outputs =
        tinyml_mve_outputs(form, p->output, sums.even, tinyml_mve_load_scale(multiplier, shift),
                           sums.odd, tinyml_mve_load_scale(multiplier + 4, shift + 4));
    tinyml_store_first_of_8(output + channel, outputs, count);
    multiplier += p->scale_step;
    shift += p->scale_step;
  }
}

/* input: NHWC. weights: [row][column][channel], and eight more to be read. bias, multiplier and
 * shift: of each eight channels first the even ones. */
TINYML_KERNEL void tinyml_depthwise_conv_2d_mve(const tinyml_depthwise_conv_2d_mve_params *p,
                                                const int8_t *input, const int8_t *weights,
                                                const int32_t *bias, const int32_t *multiplier,
                                                const int8_t *shift, int8_t *output) {
  const tinyml_window *w = &p->window;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < w->output_height; ++y) {
      const tinyml_taps rows = tinyml_rows_inside(w, y);
      for (int32_t x = 0; x < w->output_width; ++x) {
        tinyml_depthwise_conv_2d_mve_pixel(p->form, p, input, rows, tinyml_columns_inside(w, x),
                                           weights, bias, multiplier, shift, output);
        output += p->channels;
      }
    }
    input += w->input_height * w->input_width * p->channels;
  }
}

#endif
