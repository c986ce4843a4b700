/* CONV_2D and FULLY_CONNECTED of several rows, int8, whose weights are stored as lists
 * (tinyml_sparse.h), for cores with the DSP extension. Equals conv_2d.h to the bit.
 *
 * The inputs of a tile of output pixels are packed into scratch, padding included; each channel's
 * list is then walked once for all of them. Memory: all that a tile reads is packed before its
 * outputs are written.
 */
#ifndef TINYML_CONV_2D_SPARSE_DSP_H
#define TINYML_CONV_2D_SPARSE_DSP_H

#include "../tinyml_runs.h"
#include "tinyml_sparse_dsp.h"

/* What computes a tile of one width. */
typedef struct {
  tinyml_sparse_lists *lists;
  tinyml_sparse_finish *finish; /* tinyml_sparse_finish_sums for a layer of TINYML_FORM_GENERAL */
} tinyml_sparse_width;

/* What computes a tile of a layer of TINYML_FORM_GENERAL. */
typedef void tinyml_sparse_general(const tinyml_requantization *requantization,
                                   tinyml_sparse_lists *lists, tinyml_sparse_job job,
                                   int32_t pixels);

typedef struct {
  tinyml_runs runs;
  int32_t depth;     /* products of an output */
  int32_t tile;      /* pixels: 8 or 4 */
  int32_t channels;  /* outputs of a pixel */
  int32_t codebooks; /* before the lists: none, one, or each channel's */
  tinyml_requantization output;
  tinyml_sparse_general *general; /* tinyml_sparse_one_by_one, or NULL for the other forms */
  tinyml_sparse_width wide;       /* for eight pixels, */
  tinyml_sparse_width narrow;     /* for four */
} tinyml_conv_2d_sparse_dsp_params;

/* One channel after the other, whose sums are then requantized. */
TINYML_SHARED void tinyml_sparse_one_by_one(const tinyml_requantization *requantization,
                                            tinyml_sparse_lists *lists, tinyml_sparse_job job,
                                            int32_t pixels) {
  const int32_t channels = job.channels;
  int8_t *output = job.output;
  int32_t sums[8];
  job.channels = 1;
  job.output = (int8_t *)(void *)sums;
  for (int32_t channel = 0; channel < channels; ++channel) {
    const tinyml_dsp_scales scales = {job.scale, job.shift};
    job.lists = lists(&job);
    for (int32_t i = 0; i < pixels; ++i) {
      output[i * job.output_step + channel] =
          tinyml_dsp_requantize(TINYML_FORM_GENERAL, requantization, scales, 0, sums[i]);
    }
    ++job.bias;
    job.scale += 2;
    ++job.shift;
    job.codebook += job.codebook_step;
  }
}

/* All channels of a tile of at most eight pixels, or four. spare: room for the tile's outputs. */
TINYML_INLINE void tinyml_sparse_tile(const tinyml_conv_2d_sparse_dsp_params *p, int32_t pixels,
                                      const int8_t *tile, const uint8_t *lists, const int32_t *bias,
                                      tinyml_dsp_scales scales, int8_t *output, int8_t *spare) {
  const int32_t channels = p->channels, whole = pixels > 4 ? 8 : 4;
  const tinyml_sparse_width *width = pixels > 4 ? &p->wide : &p->narrow;
  tinyml_sparse_job job;
  job.tile = tile;
  job.lists = lists + p->codebooks * TINYML_CODEBOOK;
  job.bias = bias;
  job.scale = scales.scale;
  job.shift = scales.shift;
  job.codebook = (const int8_t *)lists;
  job.codebook_step = p->codebooks > 1 ? TINYML_CODEBOOK : 0;
  job.output = output;
  job.output_step = channels;
  job.channels = channels;
  job.finish = width->finish;
  if (p->general != NULL) {
    p->general(&p->output, width->lists, job, pixels);
  } else if (pixels == whole) {
    width->lists(&job);
  } else {
    job.output = spare;
    width->lists(&job);
    tinyml_copy(output, spare, pixels * channels);
  }
}

/* Packs what four pixels read. Where there are fewer, the last one stands for the rest. */
TINYML_INLINE void tinyml_sparse_pack_pixels(const tinyml_conv_2d_sparse_dsp_params *p,
                                             const int8_t *input, const tinyml_runs_pixel pixels[4],
                                             int32_t width, int8_t *to, int8_t *lines) {
  const tinyml_window *w = &p->runs.window;
  const int32_t taps = p->runs.run_taps, run = taps * p->runs.input_channels;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    for (int32_t column = 0; column < w->filter_width; column += taps) {
      const int8_t *from[4];
      for (int32_t i = 0; i < 4; ++i) {
        from[i] = tinyml_runs_find(&p->runs, input, &pixels[i], row, column, lines + i * run);
      }
      if (width == 8) {
        tinyml_sparse_pack_8(to, from, run);
      } else {
        tinyml_sparse_pack_4(to, from, run);
      }
      to += 2 * width * run;
    }
  }
}

/* input: NHWC. scratch: the tile, then the runs of four pixels or the outputs of a last tile. */
TINYML_KERNEL void tinyml_conv_2d_sparse_dsp(const tinyml_conv_2d_sparse_dsp_params *p,
                                             const int8_t *input, const uint8_t *lists,
                                             const int32_t *bias, const int32_t *scale,
                                             const int8_t *shift, int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->runs.window;
  const tinyml_dsp_scales scales = {scale, shift};
  int8_t *spare = scratch + 2 * p->tile * p->depth;
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    int32_t left = w->output_height * w->output_width;
    tinyml_runs_pixel next = tinyml_runs_first(w);
    while (left > 0) {
      const int32_t count = tinyml_min(p->tile, left);
      const int32_t width = count > 4 ? 8 : 4;
      for (int32_t packed = 0; packed < count; packed += 4) {
        tinyml_runs_pixel pixels[4];
        for (int32_t i = 0; i < 4; ++i) {
          pixels[i] = next;
          if (packed + i + 1 < count) {
            tinyml_runs_advance(w, &next);
          }
        }
        tinyml_sparse_pack_pixels(p, input, pixels, width, scratch + 2 * packed, spare);
      }
      tinyml_runs_advance(w, &next);
      tinyml_sparse_tile(p, count, scratch, lists, bias, scales, output, spare);
      output += count * p->channels;
      left -= count;
    }
    input += w->input_height * w->input_width * p->runs.input_channels;
  }
}

#endif
