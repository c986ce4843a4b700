/* CONV_2D and FULLY_CONNECTED of several rows, int8, whose weights are stored as lists
 * (tinyml_sparse.h), for cores with the DSP extension. Equals conv_2d.h to the bit.
 *
 * The inputs of a tile of output pixels are packed into scratch, padding included; each channel's
 * list is then walked once for all of them. Memory: all that a tile reads is packed before its
 * outputs are written.
 */
#ifndef TINYML_CONV_2D_SPARSE_DSP_H
#define TINYML_CONV_2D_SPARSE_DSP_H

#include "tinyml_dsp_matrix.h"
#include "tinyml_runs.h"
#include "tinyml_sparse_dsp.h"

typedef struct tinyml_sparse_dsp_layer tinyml_sparse_dsp_layer;

struct tinyml_sparse_dsp_layer {
  int32_t channels;
  int32_t codebooks;            /* how many there are before the lists: none, one, or each channel's */
  tinyml_requantization output; /* for TINYML_FORM_GENERAL */
  tinyml_sparse_dot *wide;      /* the sums over a tile of eight pixels, */
  tinyml_sparse_dot *narrow;    /* and over one of four */
  /* The instance below for the layer's form. Named by the layer, so that no other is linked. */
  void (*compute)(const tinyml_sparse_dsp_layer *l, const int8_t *tile, int32_t pixels,
                  const uint8_t *lists, const int32_t *bias, tinyml_dsp_scales scales,
                  int8_t *output);
};

typedef struct {
  tinyml_runs runs;
  int32_t depth;   /* products of an output */
  int32_t padding; /* rows of zeros behind them, which lists may read */
  int32_t tile;    /* pixels: 8 or 4 */
  tinyml_sparse_dsp_layer layer;
} tinyml_conv_2d_sparse_dsp_params;

/* -- from a tile to outputs -------------------------------------------------------------------- */

/* All channels of up to eight pixels; up to four are a narrow tile. */
TINYML_INLINE void tinyml_sparse_compute(int32_t form, const tinyml_sparse_dsp_layer *l,
                                         const int8_t *tile, int32_t pixels, const uint8_t *lists,
                                         const int32_t *bias, tinyml_dsp_scales scales,
                                         int8_t *output) {
  const int32_t channels = l->channels;
  const int8_t *codebook = (const int8_t *)lists;
  const int32_t next_codebook = l->codebooks > 1 ? TINYML_CODEBOOK : 0;
  tinyml_sparse_dot *dot = pixels > 4 ? l->wide : l->narrow;
  int32_t sums[8];
  lists += l->codebooks * TINYML_CODEBOOK;
  for (int32_t channel = 0; channel < channels; ++channel) {
    int8_t *to = output++;
    const int32_t *sum = sums;
    lists = dot(tile, lists, *bias++, sums, codebook);
    codebook += next_codebook;
    for (int32_t left = pixels; left >= 4; left -= 4) {
      for (int32_t i = 0; i < 4; ++i) {
        *to = tinyml_dsp_requantize(form, &l->output, scales, 0, *sum++);
        to += channels;
      }
    }
    for (int32_t left = pixels % 4; left > 0; --left) {
      *to = tinyml_dsp_requantize(form, &l->output, scales, 0, *sum++);
      to += channels;
    }
    scales.scale += 2;
    scales.shift += 1;
  }
}

#define TINYML_SPARSE_COMPUTE(name, form)                                                          \
  TINYML_SHARED void tinyml_sparse_compute_##name(                                                 \
      const tinyml_sparse_dsp_layer *l, const int8_t *tile, int32_t pixels, const uint8_t *lists,  \
      const int32_t *bias, tinyml_dsp_scales scales, int8_t *output) {                             \
    tinyml_sparse_compute(form, l, tile, pixels, lists, bias, scales, output);                     \
  }

TINYML_SPARSE_COMPUTE(clamped, TINYML_FORM_CLAMPED)
TINYML_SPARSE_COMPUTE(signed, TINYML_FORM_SIGNED)
TINYML_SPARSE_COMPUTE(general, TINYML_FORM_GENERAL)

/* -- packing ----------------------------------------------------------------------------------- */

/* A word for each input byte of two pixels, `step` words apart. */
TINYML_SHARED uint32_t *tinyml_sparse_pack(uint32_t *to, int32_t step, const int8_t *pixel0,
                                           const int8_t *pixel1, int32_t bytes) {
  for (; bytes >= 4; bytes -= 4) {
    for (int32_t i = 0; i < 4; ++i) {
      *to = (uint32_t)pixel0[i] + ((uint32_t)pixel1[i] << 23);
      to += step;
    }
    pixel0 += 4;
    pixel1 += 4;
  }
  for (; bytes > 0; --bytes) {
    *to = (uint32_t)*pixel0++ + ((uint32_t)*pixel1++ << 23);
    to += step;
  }
  return to;
}

/* What two pixels read, as a column of a tile's words. */
TINYML_INLINE void tinyml_sparse_pack_pair(const tinyml_conv_2d_sparse_dsp_params *p,
                                           const int8_t *input, const tinyml_runs_pixel pixels[2],
                                           int32_t step, uint32_t *to, int8_t *lines) {
  const tinyml_window *w = &p->runs.window;
  const int32_t taps = p->runs.run_taps, run = taps * p->runs.input_channels;
  for (int32_t row = 0; row < w->filter_height; ++row) {
    for (int32_t column = 0; column < w->filter_width; column += taps) {
      to = tinyml_sparse_pack(
          to, step, tinyml_runs_find(&p->runs, input, &pixels[0], row, column, lines),
          tinyml_runs_find(&p->runs, input, &pixels[1], row, column, lines + run), run);
    }
  }
  for (int32_t i = 0; i < p->padding; ++i) {
    *to = 0;
    to += step;
  }
}

/* input: NHWC. scratch: the tile, then a run of each of two pixels. */
TINYML_KERNEL void tinyml_conv_2d_sparse_dsp(const tinyml_conv_2d_sparse_dsp_params *p,
                                             const int8_t *input, const uint8_t *lists,
                                             const int32_t *bias, const int32_t *scale,
                                             const int8_t *shift, int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->runs.window;
  const tinyml_dsp_scales scales = {scale, shift};
  int8_t *lines = scratch + 2 * p->tile * (p->depth + p->padding);
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    tinyml_runs_pixel pixels[2];
    int32_t left = w->output_height * w->output_width;
    pixels[1] = tinyml_runs_first(w);
    while (left > 0) {
      const int32_t count = tinyml_min(p->tile, left);
      const int32_t step = count > 4 ? 4 : 2;
      for (int32_t i = 0; i < count; i += 2) {
        /* A last pixel without a partner is its own. */
        pixels[0] = pixels[1];
        if (i + 1 < count) {
          tinyml_runs_advance(w, &pixels[1]);
        }
        tinyml_sparse_pack_pair(p, input, pixels, step,
                                (uint32_t *)(void *)scratch + i / 2, lines);
        tinyml_runs_advance(w, &pixels[1]);
      }
      p->layer.compute(&p->layer, scratch, count, lists, bias, scales, output);
      output += count * p->layer.channels;
      left -= count;
    }
    input += w->input_height * w->input_width * p->runs.input_channels;
  }
}

#endif
