/* TRANSPOSE_CONV, int8, for cores with the DSP extension: as the convolutions that it is made of.
 * Equals transpose_conv.h to the bit.
 *
 * Outputs that lie a stride apart are reached by the same taps of the filter, every stride-th one,
 * and by neighbouring input pixels: for each place between two strides they are a convolution of
 * stride 1 with these taps, the last one first. Two neighbours of them are computed like two pixels
 * of conv_2d_dsp.h.
 *
 * Memory: row by row of the output, and in a row one of these convolutions after the other; the
 * host finds out how far the output may lie over the input.
 */
#ifndef TINYML_TRANSPOSE_CONV_DSP_H
#define TINYML_TRANSPOSE_CONV_DSP_H

#include "conv_2d_dsp.h"

/* Sizes are those of the layer; the matrix is that of its convolutions but for the depth. */
typedef struct {
  int32_t batches;
  int32_t input_height;
  int32_t input_width;
  int32_t output_height;
  int32_t output_width;
  int32_t filter_height;
  int32_t filter_width;
  int32_t stride_height;
  int32_t stride_width;
  int32_t padding_top;
  int32_t padding_left;
  int32_t input_channels;
  int8_t input_zero_point;
  tinyml_dsp_matrix matrix;
} tinyml_transpose_conv_dsp_params;

/* The taps that reach an output position along an axis. */
typedef struct {
  int32_t phase; /* the first one; the others follow a stride apart */
  int32_t taps;
  int32_t start; /* the first input position, which the last tap meets */
} tinyml_transpose_conv_dsp_reach;

TINYML_INLINE tinyml_transpose_conv_dsp_reach
tinyml_transpose_conv_dsp_reaching(int32_t place, int32_t stride, int32_t filter_size) {
  tinyml_transpose_conv_dsp_reach reach;
  const int32_t nearest = place / stride;
  reach.phase = place - nearest * stride;
  reach.taps = (filter_size - reach.phase + stride - 1) / stride;
  reach.start = nearest - (reach.taps - 1);
  return reach;
}

/* A row of outputs, or of these every so many, `step` bytes apart. first: the first one's window,
 * and how many they are. */
TINYML_INLINE void tinyml_transpose_conv_dsp_row(const tinyml_conv_2d_dsp_params *convolution,
                                                 const int8_t *input, tinyml_dsp_blocks blocks,
                                                 tinyml_conv_2d_dsp_pixel first, int32_t step,
                                                 int8_t *output, int8_t *scratch) {
  const tinyml_conv_2d_dsp_walk walk = tinyml_conv_2d_dsp_start(convolution, input, scratch);
  tinyml_conv_2d_dsp_pixel pixels[2] = {first, first};
  for (int32_t left = first.columns_left; left > 0; left -= 2) {
    /* An odd last pixel is its own partner. */
    const int32_t partner = left > 1;
    pixels[1].x = pixels[0].x + partner;
    tinyml_conv_2d_dsp_gather(&walk, pixels);
    blocks.output0 = output;
    blocks.output1 = output + partner * step;
    convolution->matrix.multiply(&convolution->matrix, &blocks);
    pixels[0].x += 2;
    output += 2 * step;
  }
}

/* input: NHWC. parts: of each convolution, row by row of where the filter begins, the depth and the
 * place of its weights. */
TINYML_SHARED void tinyml_transpose_conv_dsp(const tinyml_transpose_conv_dsp_params *p,
                                             const int8_t *input, const int32_t *parts,
                                             const int32_t *weights, const int32_t *scale,
                                             const int8_t *shift, int8_t *output, int8_t *scratch) {
  const int32_t channels = p->matrix.channels;
  tinyml_conv_2d_dsp_params convolution = {
      .window = {.input_height = p->input_height,
                 .input_width = p->input_width,
                 .dilation_height = 1,
                 .dilation_width = 1},
      .input_channels = p->input_channels,
      .input_zero_point = p->input_zero_point,
      .matrix = p->matrix,
  };
  for (int32_t row = 0; row < p->batches * p->output_height; ++row) {
    const int32_t batch = row / p->output_height, y = row - batch * p->output_height;
    const int8_t *image = input + batch * p->input_height * p->input_width * p->input_channels;
    const tinyml_transpose_conv_dsp_reach rows =
        tinyml_transpose_conv_dsp_reaching(y + p->padding_top, p->stride_height, p->filter_height);
    for (int32_t x = 0; x < tinyml_min(p->stride_width, p->output_width); ++x) {
      const tinyml_transpose_conv_dsp_reach columns =
          tinyml_transpose_conv_dsp_reaching(x + p->padding_left, p->stride_width, p->filter_width);
      const int32_t *part = parts + 2 * (rows.phase * p->stride_width + columns.phase);
      const tinyml_conv_2d_dsp_pixel first = {
          rows.start, columns.start, (p->output_width - x + p->stride_width - 1) / p->stride_width};
      convolution.window.filter_height = (int16_t)rows.taps;
      convolution.window.filter_width = (int16_t)columns.taps;
      convolution.run_taps = (int16_t)columns.taps;
      convolution.matrix.depth = part[0];
      tinyml_transpose_conv_dsp_row(
          &convolution, image,
          tinyml_dsp_pair_blocks(&convolution.matrix, scratch, weights + part[1], scale, shift),
          first, p->stride_width * channels, output + x * channels, scratch);
    }
    output += p->output_width * channels;
  }
}

#endif
