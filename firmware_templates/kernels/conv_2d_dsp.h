/* CONV_2D, int8, for cores with the DSP extension: the inputs of two output pixels are widened into
 * scratch, padding included, and multiplied with all filters. Equals conv_2d.h to the bit.
 *
 * Products are in the order of runs of neighbouring input bytes: a row of the filter, or a tap
 * where it is dilated. First the words of every run, then what is left of each, so that an odd
 * number of channels costs little (tinyml_sdk/ops/conv_2d.py). Memory: all that two pixels read is
 * gathered before their outputs are written.
 */
#ifndef TINYML_CONV_2D_DSP_H
#define TINYML_CONV_2D_DSP_H

#include "tinyml_dsp_matrix.h"
#include "tinyml_window.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t input_zero_point;
  int32_t run_taps; /* filter_width; 1 where taps are not neighbours */
  tinyml_dsp_matrix matrix;
} tinyml_conv_2d_dsp_params;

/* An output pixel, by where its window starts in the input. */
typedef struct {
  int32_t y;
  int32_t x;
  int32_t columns_left; /* in its row of the output, this one included */
} tinyml_conv_2d_dsp_pixel;

TINYML_INLINE void tinyml_conv_2d_dsp_advance(const tinyml_window *w,
                                              tinyml_conv_2d_dsp_pixel *pixel) {
  pixel->x += w->stride_width;
  if (--pixel->columns_left == 0) {
    pixel->x = -w->padding_left;
    pixel->y += w->stride_height;
    pixel->columns_left = w->output_width;
  }
}

/* A run that lies partly or wholly in the padding, as a copy in `line`. row: the input's row, NULL
 * in the padding. x: the first tap's column. */
TINYML_SHARED const int8_t *tinyml_conv_2d_dsp_padded(const int8_t *row, int32_t x, int32_t taps,
                                                      int32_t width, int32_t channels,
                                                      int32_t zero_point, int8_t *line) {
  const int32_t before = x < 0 ? -x : 0;
  const int32_t inside = tinyml_min(taps, width - x) - before;
  tinyml_fill(line, zero_point, taps * channels);
  if (row != NULL && inside > 0) {
    tinyml_copy(line + before * channels, row + (x + before) * channels, inside * channels);
  }
  return line;
}

/* Where the run of a filter's row, from one of its columns on, lies for a pixel. */
TINYML_INLINE const int8_t *tinyml_conv_2d_dsp_run(const tinyml_conv_2d_dsp_params *p,
                                                   const int8_t *input,
                                                   const tinyml_conv_2d_dsp_pixel *pixel,
                                                   int32_t row, int32_t column, int8_t *line) {
  const tinyml_window *w = &p->window;
  const int32_t y = pixel->y + row * w->dilation_height;
  const int32_t x = pixel->x + column * w->dilation_width;
  const int32_t row_inside = y >= 0 && y < w->input_height;
  if (row_inside && x >= 0 && x + p->run_taps <= w->input_width) {
    return input + (y * w->input_width + x) * p->input_channels;
  }
  return tinyml_conv_2d_dsp_padded(
      row_inside ? input + y * w->input_width * p->input_channels : NULL, x, p->run_taps,
      w->input_width, p->input_channels, p->input_zero_point, line);
}

/* Widens all that two pixels read. Behind the activations, scratch has room for a run of each pixel
 * and for what their runs leave of words. */
TINYML_INLINE void tinyml_conv_2d_dsp_gather(const tinyml_conv_2d_dsp_params *p,
                                             const int8_t *input,
                                             const tinyml_conv_2d_dsp_pixel pixels[2],
                                             int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const int32_t run = p->run_taps * p->input_channels, rest = run % 4;
  const int32_t rests = w->filter_height * (w->filter_width / p->run_taps) * rest;
  uint32_t *to = (uint32_t *)(void *)scratch;
  int8_t *line0 = scratch + 4 * p->matrix.depth, *line1 = line0 + run;
  int8_t *rests0 = line1 + run, *rests1 = rests0 + (rests + 3) / 4 * 4;
  int32_t kept = 0;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    for (int32_t column = 0; column < w->filter_width; column += p->run_taps) {
      const int8_t *from0 = tinyml_conv_2d_dsp_run(p, input, &pixels[0], row, column, line0);
      const int8_t *from1 = tinyml_conv_2d_dsp_run(p, input, &pixels[1], row, column, line1);
      tinyml_dsp_widen(to, from0, from1, run / 4);
      to += run - rest;
      for (int32_t i = run - rest; i < run; ++i) {
        rests0[kept] = from0[i];
        rests1[kept++] = from1[i];
      }
    }
  }
  if (rest != 0) {
    tinyml_dsp_widen(to, rests0, rests1, (rests + 3) / 4);
  }
}

/* input: NHWC. */
TINYML_KERNEL void tinyml_conv_2d_dsp(const tinyml_conv_2d_dsp_params *p, const int8_t *input,
                                      const int32_t *weights, const int32_t *scale,
                                      const int8_t *shift, int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const tinyml_dsp_scales scales = {scale, shift};
  const int32_t channels = p->matrix.channels;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    tinyml_conv_2d_dsp_pixel pixels[2];
    pixels[1].y = -w->padding_top;
    pixels[1].x = -w->padding_left;
    pixels[1].columns_left = w->output_width;
    for (int32_t left = w->output_height * w->output_width; left > 0; left -= 2) {
      pixels[0] = pixels[1];
      if (left > 1) {
        tinyml_conv_2d_dsp_advance(w, &pixels[1]);
      }
      /* An odd last pixel is its own partner. */
      tinyml_conv_2d_dsp_gather(p, input, pixels, scratch);
      p->matrix.multiply(&p->matrix, scratch, weights, scales, output,
                         left > 1 ? output + channels : output);
      tinyml_conv_2d_dsp_advance(w, &pixels[1]);
      output += left > 1 ? 2 * channels : channels;
    }
    input += w->input_height * w->input_width * p->input_channels;
  }
}

#endif
