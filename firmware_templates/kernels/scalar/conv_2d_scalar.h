/* CONV_2D, int8, for cores without SIMD instructions: the inputs of a tile of output pixels are
 * gathered in scratch, padding included, and multiplied with all filters. Equals conv_2d.h to the
 * bit.
 *
 * Products are in the order of the filter's rows, columns and input channels. Memory: all that a
 * tile reads is gathered before its outputs are written.
 */
#ifndef TINYML_CONV_2D_SCALAR_H
#define TINYML_CONV_2D_SCALAR_H

#include "../tinyml_window.h"
#include "tinyml_scalar_matrix.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int32_t input_zero_point;
  int32_t run_taps; /* that lie one after the other in memory: filter_width, 1 where dilated */
  tinyml_scalar_matrix matrix;
} tinyml_conv_2d_scalar_params;

/* A run of neighbouring taps of one row. row: the input's row, NULL in the padding. x: the first
 * tap's column. */
TINYML_INLINE void tinyml_conv_2d_scalar_run(const tinyml_conv_2d_scalar_params *p,
                                             const int8_t *row, int32_t x, int8_t *to) {
  const int32_t width = p->window.input_width, channels = p->input_channels, taps = p->run_taps;
  if (row != NULL && x >= 0 && x + taps <= width) {
    tinyml_scalar_copy(to, row + x * channels, taps * channels);
    return;
  }
  const int32_t before = x < 0 ? -x : 0;
  const int32_t inside = tinyml_min(taps, width - x) - before;
  for (int32_t i = 0; i < taps * channels; ++i) {
    to[i] = (int8_t)p->input_zero_point;
  }
  if (row != NULL && inside > 0) {
    tinyml_scalar_copy(to + before * channels, row + (x + before) * channels, inside * channels);
  }
}

/* All that the output pixel reads whose window starts at (y, x) of the input, into the tile. line:
 * the pixel alone, on the way there. */
TINYML_SCALAR_SHARED void tinyml_conv_2d_scalar_gather(const tinyml_conv_2d_scalar_params *p,
                                                       const int8_t *input, int32_t y, int32_t x,
                                                       int8_t *to, int8_t *line) {
  const tinyml_window *w = &p->window;
  const int32_t run = p->run_taps * p->input_channels;
  const int32_t stride = w->input_width * p->input_channels;
  int8_t *next = line;
  for (int32_t row = 0; row < w->filter_height; ++row, y += w->dilation_height) {
    const int8_t *from = y >= 0 && y < w->input_height ? input + y * stride : NULL;
    int32_t tap = x;
    for (int32_t column = 0; column < w->filter_width; column += p->run_taps) {
      if (run % 4 == 0 && from != NULL && tap >= 0 && tap + p->run_taps <= w->input_width) {
        to = tinyml_scalar_put(to, p->matrix.tile, from + tap * p->input_channels, run);
      } else {
        tinyml_conv_2d_scalar_run(p, from, tap, next);
        if (run % 4 == 0) {
          to = tinyml_scalar_put(to, p->matrix.tile, next, run);
        } else {
          next += run;
        }
      }
      tap += w->dilation_width;
    }
  }
  if (run % 4 != 0) {
    (void)tinyml_scalar_put(to, p->matrix.tile, line, (int32_t)(next - line));
  }
}

/* input: NHWC. scratch: the inputs of a tile, widened of twice the size, and of one pixel. */
TINYML_KERNEL void tinyml_conv_2d_scalar(const tinyml_conv_2d_scalar_params *p, const int8_t *input,
                                         const int8_t *weights, const int32_t *bias,
                                         const int32_t *scale, const int8_t *shift, int8_t *output,
                                         int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const tinyml_scalar_constants constants = {weights, bias, scale, shift};
  int8_t *bytes = scratch + (p->matrix.widened ? p->matrix.tile * p->matrix.depth : 0);
  int8_t *line = bytes + p->matrix.tile * p->matrix.depth;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    int32_t y = -w->padding_top, x = -w->padding_left, columns_left = w->output_width;
    for (int32_t left = w->output_height * w->output_width; left > 0; left -= p->matrix.tile) {
      const int32_t pixels = tinyml_min(left, p->matrix.tile);
      for (int32_t pixel = 0; pixel < pixels; ++pixel) {
        tinyml_conv_2d_scalar_gather(p, input, y, x, bytes + 4 * pixel, line);
        x += w->stride_width;
        if (--columns_left == 0) {
          x = -w->padding_left;
          y += w->stride_height;
          columns_left = w->output_width;
        }
      }
      p->matrix.multiply(&p->matrix, scratch, &constants, output, pixels);
      output += pixels * p->matrix.channels;
    }
    input += w->input_height * w->input_width * p->input_channels;
  }
}

#endif
