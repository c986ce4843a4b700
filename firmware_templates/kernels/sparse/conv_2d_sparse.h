/* CONV_2D and FULLY_CONNECTED of several rows, int8, whose weights are stored as lists
 * (tinyml_sparse.h), portable C. Equals conv_2d.h to the bit.
 *
 * The inputs of four output pixels are gathered in scratch, padding included; each channel's list
 * is then walked once for all of them. Inputs are used as they lie in memory: their zero point is
 * in the bias. Memory: all that four pixels read is gathered before their outputs are written.
 */
#ifndef TINYML_CONV_2D_SPARSE_H
#define TINYML_CONV_2D_SPARSE_H

#include "../tinyml_requantize.h"
#include "../tinyml_runs.h"
#include "tinyml_sparse.h"

enum { TINYML_SPARSE_PIXELS = 4 };

typedef struct tinyml_conv_2d_sparse_params tinyml_conv_2d_sparse_params;

struct tinyml_conv_2d_sparse_params {
  tinyml_runs runs;
  int32_t depth;     /* products of an output */
  int32_t channels;  /* outputs of a pixel */
  int32_t codebooks; /* before the lists: none, one, or each channel's */
  tinyml_requantization output;
  /* The instance below for the form of the lists. Named by the layer, so that no other is linked.
   */
  void (*compute)(const tinyml_conv_2d_sparse_params *p, int32_t count, const int8_t *tile,
                  const uint8_t *lists, const int32_t *bias, tinyml_multipliers scale,
                  int8_t *output);
};

/* What four pixels read: a row of four bytes for each product. */
TINYML_INLINE void tinyml_sparse_gather(const tinyml_runs *r, const int8_t *input,
                                        const tinyml_runs_pixel pixels[4], int8_t *to,
                                        int8_t *lines) {
  const int32_t taps = r->run_taps, run = taps * r->input_channels;
  for (int32_t row = 0; row < r->window.filter_height; ++row) {
    for (int32_t column = 0; column < r->window.filter_width; column += taps) {
      for (int32_t i = 0; i < TINYML_SPARSE_PIXELS; ++i) {
        const int8_t *from = tinyml_runs_find(r, input, &pixels[i], row, column, lines);
        int8_t *place = to + i;
        for (int32_t left = run; left > 0; --left) {
          *place = *from++;
          place += TINYML_SPARSE_PIXELS;
        }
      }
      to += TINYML_SPARSE_PIXELS * run;
    }
  }
}

/* All channels of four pixels; the first `count` are stored. */
TINYML_INLINE void tinyml_sparse_four(int32_t form, const tinyml_conv_2d_sparse_params *p,
                                      int32_t count, const int8_t *tile, const uint8_t *lists,
                                      const int32_t *bias, tinyml_multipliers scale,
                                      int8_t *output) {
  const int8_t *codebook = (const int8_t *)lists;
  const int32_t next_codebook = p->codebooks > 1 ? TINYML_CODEBOOK : 0;
  lists += p->codebooks * TINYML_CODEBOOK;
  for (int32_t channel = 0; channel < p->channels; ++channel) {
    int32_t sums[TINYML_SPARSE_PIXELS];
    tinyml_sparse_sums s;
    s.pixels = TINYML_SPARSE_PIXELS;
    s.packed = 0;
    s.row = tile;
    s.sum0 = s.sum1 = s.sum2 = s.sum3 = (uint32_t)bias[channel];
    lists = tinyml_sparse_walk(form, lists, codebook, &s);
    codebook += next_codebook;
    sums[0] = (int32_t)s.sum0;
    sums[1] = (int32_t)s.sum1;
    sums[2] = (int32_t)s.sum2;
    sums[3] = (int32_t)s.sum3;
    for (int32_t i = 0; i < count; ++i) {
      output[i * p->channels + channel] = tinyml_requantize(&p->output, scale, channel, sums[i]);
    }
  }
}

#define TINYML_SPARSE_FOUR(name, form)                                                             \
  TINYML_SHARED void tinyml_sparse_four_##name(                                                    \
      const tinyml_conv_2d_sparse_params *p, int32_t count, const int8_t *tile,                    \
      const uint8_t *lists, const int32_t *bias, tinyml_multipliers scale, int8_t *output) {       \
    tinyml_sparse_four(form, p, count, tile, lists, bias, scale, output);                          \
  }

TINYML_SPARSE_FOUR(gaps, TINYML_LIST_GAPS)
TINYML_SPARSE_FOUR(coded_gaps, TINYML_LIST_CODED_GAPS)
TINYML_SPARSE_FOUR(blocks, TINYML_LIST_BLOCKS)
TINYML_SPARSE_FOUR(codes, TINYML_LIST_CODES)

/* input: NHWC. scratch: the inputs of four pixels, then a run of one. */
TINYML_KERNEL void tinyml_conv_2d_sparse(const tinyml_conv_2d_sparse_params *p, const int8_t *input,
                                         const uint8_t *lists, const int32_t *bias,
                                         const int32_t *multiplier, const int8_t *shift,
                                         int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->runs.window;
  const tinyml_multipliers scale = {multiplier, shift};
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    tinyml_runs_pixel next = tinyml_runs_first(w);
    for (int32_t left = w->output_height * w->output_width; left > 0;
         left -= TINYML_SPARSE_PIXELS) {
      const int32_t count = tinyml_min(TINYML_SPARSE_PIXELS, left);
      tinyml_runs_pixel pixels[TINYML_SPARSE_PIXELS];
      for (int32_t i = 0; i < TINYML_SPARSE_PIXELS; ++i) {
        /* The last one stands for those that are missing. */
        pixels[i] = next;
        if (i + 1 < left) {
          tinyml_runs_advance(w, &next);
        }
      }
      tinyml_sparse_gather(&p->runs, input, pixels, scratch,
                           scratch + TINYML_SPARSE_PIXELS * p->depth);
      p->compute(p, count, scratch, lists, bias, scale, output);
      output += count * p->channels;
    }
    input += w->input_height * w->input_width * p->runs.input_channels;
  }
}

#endif
