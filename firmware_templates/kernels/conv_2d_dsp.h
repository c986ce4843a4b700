/* CONV_2D, int8, for cores with the DSP extension: the inputs of two output pixels are widened into
 * scratch, padding included, and multiplied with all filters. Equals conv_2d.h to the bit.
 *
 * Products are in the order of runs of neighbouring input bytes (tinyml_runs.h). First the words of
 * every run, then what is left of each, so that an odd number of channels costs little
 * (tinyml_sdk/ops/conv_2d.py). Memory: all that two pixels read is gathered before their outputs
 * are written.
 */
#ifndef TINYML_CONV_2D_DSP_H
#define TINYML_CONV_2D_DSP_H

#include "tinyml_dsp_matrix.h"
#include "tinyml_runs.h"

typedef struct {
  tinyml_runs runs;
  tinyml_dsp_matrix matrix;
} tinyml_conv_2d_dsp_params;

/* Widens all that two pixels read. Behind the activations, scratch has room for a run of each pixel
 * and for what their runs leave of words. */
TINYML_INLINE void tinyml_conv_2d_dsp_gather(const tinyml_conv_2d_dsp_params *p,
                                             const int8_t *input, const tinyml_runs_pixel pixels[2],
                                             int8_t *scratch) {
  const tinyml_window *w = &p->runs.window;
  const int32_t taps = p->runs.run_taps;
  const int32_t run = taps * p->runs.input_channels, rest = run % 4;
  const int32_t rests = w->filter_height * (w->filter_width / taps) * rest;
  uint32_t *to = (uint32_t *)(void *)scratch;
  int8_t *line0 = scratch + 4 * p->matrix.depth, *line1 = line0 + run;
  int8_t *rests0 = line1 + run, *rests1 = rests0 + (rests + 3) / 4 * 4;
  int32_t kept = 0;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    for (int32_t column = 0; column < w->filter_width; column += taps) {
      const int8_t *from0 = tinyml_runs_find(&p->runs, input, &pixels[0], row, column, line0);
      const int8_t *from1 = tinyml_runs_find(&p->runs, input, &pixels[1], row, column, line1);
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
  const tinyml_window *w = &p->runs.window;
  const tinyml_dsp_scales scales = {scale, shift};
  const int32_t channels = p->matrix.channels;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    tinyml_runs_pixel pixels[2];
    pixels[1] = tinyml_runs_first(w);
    for (int32_t left = w->output_height * w->output_width; left > 0; left -= 2) {
      pixels[0] = pixels[1];
      if (left > 1) {
        tinyml_runs_advance(w, &pixels[1]);
      }
      /* An odd last pixel is its own partner. */
      tinyml_conv_2d_dsp_gather(p, input, pixels, scratch);
      p->matrix.multiply(&p->matrix, scratch, weights, scales, output,
                         left > 1 ? output + channels : output);
      tinyml_runs_advance(w, &pixels[1]);
      output += left > 1 ? 2 * channels : channels;
    }
    input += w->input_height * w->input_width * p->runs.input_channels;
  }
}

#endif
