/* CONV_2D, int8, for cores with MVE: the inputs of some output pixels are gathered in scratch,
 * padding included, and multiplied with all filters, two pixels at a time. Equals conv_2d.h to the
 * bit.
 *
 * Memory: all that these pixels read is gathered before their outputs are written.
 */
#ifndef TINYML_CONV_2D_MVE_H
#define TINYML_CONV_2D_MVE_H

#include "../tinyml_window.h"
#include "tinyml_mve_matrix.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t input_zero_point;
  int32_t run_taps; /* filter_width; 1 where taps are not neighbours */
  int32_t sums;     /* bytes of them in scratch, which has the pixels' inputs behind */
  int32_t
      pixels; /* that are gathered together: an even number, 2 unless one part has all channels */
  tinyml_mve_matrix matrix;
} tinyml_conv_2d_mve_params;

/* A run of neighbouring taps, of which some may lie in the padding. row: the input's row, NULL in
 * the padding. x: the first tap's column. */
TINYML_SHARED void tinyml_conv_2d_mve_run(int8_t *to, const int8_t *row, int32_t x, int32_t taps,
                                          int32_t width, int32_t channels, int32_t zero_point) {
  const int32_t before = x < 0 ? -x : 0;
  const int32_t inside = tinyml_min(taps, width - x) - before;
  if (row == NULL || inside < taps) {
    tinyml_mve_fill(to, zero_point, taps * channels);
  }
  if (row != NULL && inside > 0) {
    tinyml_mve_copy(to + before * channels, row + (x + before) * channels, inside * channels);
  }
}

/* All that one output pixel reads. y and x: where its window starts in the input. */
TINYML_INLINE void tinyml_conv_2d_mve_gather(const tinyml_conv_2d_mve_params *p,
                                             const int8_t *input, int32_t y, int32_t x,
                                             int8_t *to) {
  const tinyml_window *w = &p->window;
  const int32_t channels = p->input_channels, run = p->run_taps * channels;
  const int32_t row_bytes = w->input_width * channels;
  const int32_t last_y = y + (w->filter_height - 1) * w->dilation_height;
  const int32_t last_x = x + (w->filter_width - 1) * w->dilation_width;
  if (p->run_taps == w->filter_width && y >= 0 && last_y < w->input_height && x >= 0 &&
      last_x < w->input_width) {
    tinyml_mve_copy_runs(to, input + (y * row_bytes + x * channels), run,
                         w->dilation_height * row_bytes, w->filter_height);
    return;
  }
  for (int32_t row = 0; row < w->filter_height; ++row) {
    const int8_t *from = y >= 0 && y < w->input_height ? input + y * row_bytes : NULL;
    for (int32_t tap = 0; tap < w->filter_width; tap += p->run_taps) {
      tinyml_conv_2d_mve_run(to, from, x + tap * w->dilation_width, p->run_taps, w->input_width,
                             channels, p->input_zero_point);
      to += run;
    }
    y += w->dilation_height;
  }
}

/* input: NHWC. */
TINYML_KERNEL void tinyml_conv_2d_mve(const tinyml_conv_2d_mve_params *params, const int8_t *input,
                                      const int32_t *weights, const int32_t *multiplier,
                                      const int8_t *shift, int8_t *output, int8_t *scratch) {
  /* A copy that no function is given: literals in it stay literal behind a call. */
  const tinyml_conv_2d_mve_params own = *params, *p = &own;
  const tinyml_window *w = &p->window;
  const int32_t channels = p->matrix.channels, padded = TINYML_VECTOR * p->matrix.steps;
  const tinyml_mve_job job = {&params->matrix, (const int8_t *)weights, multiplier, shift,
                              (int32_t *)(void *)scratch};
  int8_t *const first = scratch + p->sums;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    int32_t waiting = 0; /* pixels */
    int32_t y = -w->padding_top;
    for (int32_t rows = w->output_height; rows > 0; --rows) {
      int32_t x = -w->padding_left;
      for (int32_t columns = w->output_width; columns > 0; --columns) {
        tinyml_conv_2d_mve_gather(p, input, y, x, first + waiting * padded);
        x += w->stride_width;
        if (++waiting == p->pixels) {
          p->matrix.multiply(&job, first, padded, output, waiting / 2);
          output += waiting * channels;
          waiting = 0;
        }
      }
      y += w->stride_height;
    }
    if (waiting > 1) {
      p->matrix.multiply(&job, first, padded, output, waiting / 2);
    }
    if (waiting % 2 != 0) { /* the last pixel is its own partner */
      p->matrix.multiply(&job, first + (waiting - 1) * padded, 0, output + (waiting - 1) * channels,
                         1);
    }
    output += waiting * channels;
    input += w->input_height * w->input_width * p->input_channels;
  }
}

#endif
