/* AVERAGE_POOL_2D and MAX_POOL_2D, int8, for cores with the DSP extension: four channels in one or
 * two registers. Equals pool_2d.h to the bit.
 *
 * For an average, a window has at most 255 elements inside the image, so that their sum fits 16
 * bits. Memory: as pool_2d.h.
 */
#ifndef TINYML_POOL_2D_DSP_H
#define TINYML_POOL_2D_DSP_H

#include "../pool_2d.h"
#include "tinyml_dsp.h"

/* 4 instructions for a pixel's four channels. */
TINYML_INLINE void tinyml_average_pool_2d_four_dsp(const tinyml_pool_2d_params *p,
                                                   const tinyml_pool_2d_patch *patch,
                                                   int32_t channel, uint32_t reciprocal,
                                                   int8_t *output) {
  const int8_t *row = patch->input + channel;
  uint32_t even = 0, odd = 0;
  for (int32_t y = 0; y < patch->rows; ++y) {
    const int8_t *input = row;
    for (int32_t x = 0; x < patch->columns; ++x) {
      const uint32_t word = tinyml_load_word(input);
      even = tinyml_sxtab16(even, word);
      odd = tinyml_sxtab16_odd(odd, word);
      input += p->channels;
    }
    row += p->window.input_width * p->channels;
  }
  const uint32_t sums[4] = {even, odd, even >> 16, odd >> 16};
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t mean =
        tinyml_pool_2d_mean(p->window.filter_height * p->window.filter_width,
                            (int16_t)(sums[i] & 0xffffu), patch->rows * patch->columns, reciprocal);
    output[channel + i] = (int8_t)tinyml_clamp(mean, p->activation_min, p->activation_max);
  }
}

/* 4 instructions for a pixel's four channels. */
TINYML_INLINE void tinyml_max_pool_2d_four_dsp(const tinyml_pool_2d_params *p,
                                               const tinyml_pool_2d_patch *patch, int32_t channel,
                                               uint32_t reciprocal, int8_t *output) {
  const int8_t *row = patch->input + channel;
  uint32_t largest = 0x80808080u;
  (void)reciprocal;
  for (int32_t y = 0; y < patch->rows; ++y) {
    const int8_t *input = row;
    for (int32_t x = 0; x < patch->columns; ++x) {
      largest = tinyml_max_of_bytes(largest, tinyml_load_word(input));
      input += p->channels;
    }
    row += p->window.input_width * p->channels;
  }
  for (int32_t i = 0; i < 4; ++i) {
    const int32_t value = (int8_t)((largest >> 8 * i) & 0xffu);
    output[channel + i] = (int8_t)tinyml_clamp(value, p->activation_min, p->activation_max);
  }
}

TINYML_KERNEL void tinyml_average_pool_2d_dsp(const tinyml_pool_2d_params *p, const int8_t *input,
                                              int8_t *output) {
  tinyml_pool_2d(p, TINYML_POOL_AVERAGE, tinyml_average_pool_2d_four_dsp, input, output);
}

TINYML_KERNEL void tinyml_max_pool_2d_dsp(const tinyml_pool_2d_params *p, const int8_t *input,
                                          int8_t *output) {
  tinyml_pool_2d(p, TINYML_POOL_MAX, tinyml_max_pool_2d_four_dsp, input, output);
}

#endif
