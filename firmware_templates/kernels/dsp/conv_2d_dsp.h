/* CONV_2D, int8, for cores with the DSP extension: the inputs of two output pixels are widened into
 * scratch, padding included, and multiplied with all filters. Equals conv_2d.h to the bit.
 *
 * Products are in the order of runs of neighbouring input bytes: a row of the filter, or a tap
 * where it is dilated. First the words of every run, then what is left of each: byte by byte,
 * packed into words, or, where that costs less, in a word that ends with the run and begins with
 * bytes that meet zero weights. tinyml_sdk/ops/conv_2d.py chooses; the depth of the matrix tells.
 * Memory: all that two pixels read is gathered before their outputs are written.
 */
#ifndef TINYML_CONV_2D_DSP_H
#define TINYML_CONV_2D_DSP_H

#include "../tinyml_window.h"
#include "tinyml_dsp_gather.h"
#include "tinyml_dsp_matrix.h"

typedef struct {
  tinyml_window window;
  int32_t input_channels;
  int16_t run_taps; /* filter_width; 1 where taps are not neighbours */
  int8_t input_zero_point;
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

/* What is the same for all pixels of an image. */
typedef struct {
  const tinyml_conv_2d_dsp_params *p;
  const int8_t *input;
  int32_t rows_inside; /* windows that start before it do not reach the padding below */
  int32_t columns_inside;
  int32_t row_bytes;
  int32_t run;   /* bytes */
  int32_t whole; /* of them, in whole words */
  int32_t rest;  /* bytes behind these that are packed */
  int32_t end;   /* where the word begins that ends with the run; 0 where there is none */
  int32_t runs;
  int32_t step; /* from a run to the next, in the image; 0 where it differs */
  uint32_t *words;
  int8_t *rests[2]; /* for each pixel, what its runs leave of words */
  int8_t *lines[2]; /* for a run of each pixel */
} tinyml_conv_2d_dsp_walk;

/* Behind the widened inputs, scratch has a run of each pixel and what their runs leave of words. */
TINYML_INLINE tinyml_conv_2d_dsp_walk tinyml_conv_2d_dsp_start(const tinyml_conv_2d_dsp_params *p,
                                                               const int8_t *input,
                                                               int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const int32_t rows = w->input_height - (w->filter_height - 1) * w->dilation_height;
  const int32_t columns = w->input_width - (w->filter_width - 1) * w->dilation_width;
  tinyml_conv_2d_dsp_walk walk;
  walk.p = p;
  walk.input = input;
  walk.rows_inside = rows > 0 ? rows : 0;
  walk.columns_inside = columns > 0 ? columns : 0;
  walk.row_bytes = w->input_width * p->input_channels;
  walk.run = p->run_taps * p->input_channels;
  walk.whole = walk.run / 4 * 4;
  walk.runs = w->filter_height * (w->filter_width / p->run_taps);
  walk.end = p->matrix.depth == walk.runs * (walk.whole + 4) ? walk.run - 4 : 0;
  walk.rest = walk.end != 0 ? 0 : walk.run % 4;
  walk.step = p->run_taps == w->filter_width ? w->dilation_height * walk.row_bytes : 0;
  walk.words = (uint32_t *)(void *)scratch;
  walk.lines[0] = scratch + 4 * p->matrix.depth;
  walk.lines[1] = walk.lines[0] + walk.run;
  walk.rests[0] = walk.lines[1] + walk.run;
  walk.rests[1] = walk.rests[0] + (walk.runs * walk.rest + 3) / 4 * 4;
  return walk;
}

/* Where a pixel's window starts in the input, NULL where it reaches into the padding. */
TINYML_INLINE const int8_t *tinyml_conv_2d_dsp_inside(const tinyml_conv_2d_dsp_walk *walk,
                                                      const tinyml_conv_2d_dsp_pixel *pixel) {
  /* As unsigned numbers, negative ones are beyond every limit. */
  if ((uint32_t)pixel->y < (uint32_t)walk->rows_inside &&
      (uint32_t)pixel->x < (uint32_t)walk->columns_inside) {
    return walk->input + (pixel->y * walk->row_bytes + pixel->x * walk->p->input_channels);
  }
  return NULL;
}

/* A run that lies partly or wholly in the padding, as a copy in `line`; so does one that is shorter
 * than a word at the very start of the input. What lies before a line is scratch as well. row: the
 * input's row, NULL in the padding. x: the first tap's column. */
TINYML_SHARED const int8_t *tinyml_conv_2d_dsp_edge(const int8_t *row, int32_t x, int32_t taps,
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

/* A pixel's run at one place of the filter. */
TINYML_INLINE const int8_t *tinyml_conv_2d_dsp_run(const tinyml_conv_2d_dsp_walk *walk,
                                                   const tinyml_conv_2d_dsp_pixel *pixel,
                                                   int32_t row, int32_t column, int8_t *line) {
  const tinyml_conv_2d_dsp_params *p = walk->p;
  const tinyml_window *w = &p->window;
  const int32_t y = pixel->y + row * w->dilation_height;
  const int32_t x = pixel->x + column * w->dilation_width;
  const int8_t *from =
      (uint32_t)y < (uint32_t)w->input_height ? walk->input + y * walk->row_bytes : NULL;
  if (from != NULL && x >= 0 && x + p->run_taps <= w->input_width &&
      y * walk->row_bytes + x * p->input_channels + walk->end >= 0) {
    return from + x * p->input_channels;
  }
  return tinyml_conv_2d_dsp_edge(from, x, p->run_taps, w->input_width, p->input_channels,
                                 p->input_zero_point, line);
}

/* Of `runs` runs of both pixels, what is left of words. */
TINYML_INLINE void tinyml_conv_2d_dsp_take_rests(const tinyml_conv_2d_dsp_walk *walk, int32_t runs,
                                                 const int8_t *from0, const int8_t *from1,
                                                 int8_t *rests0, int8_t *rests1) {
  for (; runs > 0; --runs) {
    TINYML_ROLLED
    for (int32_t i = walk->run - walk->rest; i < walk->run; ++i) {
      *rests0++ = from0[i];
      *rests1++ = from1[i];
    }
    from0 += walk->step;
    from1 += walk->step;
  }
}

/* Widens what two pixels read, run by run: at the edges of the image, and with dilation. */
TINYML_INLINE void tinyml_conv_2d_dsp_gather_runs(const tinyml_conv_2d_dsp_walk *walk,
                                                  const tinyml_conv_2d_dsp_pixel pixels[2]) {
  const tinyml_conv_2d_dsp_params *p = walk->p;
  uint32_t *words = walk->words;
  uint32_t *ends = words + walk->runs * walk->whole;
  int8_t *rests0 = walk->rests[0], *rests1 = walk->rests[1];
  for (int32_t row = 0; row < p->window.filter_height; ++row) {
    for (int32_t column = 0; column < p->window.filter_width; column += p->run_taps) {
      const int8_t *from0 = tinyml_conv_2d_dsp_run(walk, &pixels[0], row, column, walk->lines[0]);
      const int8_t *from1 = tinyml_conv_2d_dsp_run(walk, &pixels[1], row, column, walk->lines[1]);
      tinyml_dsp_widen(words, from0, from1, walk->run / 4);
      words += walk->whole;
      tinyml_conv_2d_dsp_take_rests(walk, 1, from0, from1, rests0, rests1);
      rests0 += walk->rest;
      rests1 += walk->rest;
      if (walk->end != 0) {
        tinyml_dsp_widen_run(ends, from0 + walk->end, from1 + walk->end, 1);
        ends += 4;
      }
    }
  }
}

/* Widens all that two pixels read. */
TINYML_INLINE void tinyml_conv_2d_dsp_gather(const tinyml_conv_2d_dsp_walk *walk,
                                             const tinyml_conv_2d_dsp_pixel pixels[2]) {
  const int32_t words = walk->whole;
#ifdef TINYML_OPTIMIZE_SIZE
  tinyml_conv_2d_dsp_gather_runs(walk, pixels);
#else
  const int8_t *from0 = tinyml_conv_2d_dsp_inside(walk, &pixels[0]);
  const int8_t *from1 = tinyml_conv_2d_dsp_inside(walk, &pixels[1]);
  /* The word that ends a run must not begin before the input; the second pixel lies behind. */
  if (from0 == NULL || from1 == NULL || walk->step == 0 || from0 - walk->input + walk->end < 0) {
    tinyml_conv_2d_dsp_gather_runs(walk, pixels);
  } else {
    if (words > 0) {
      tinyml_dsp_widen_runs(walk->words, from0, from1, words / 4, walk->runs, walk->step - words);
    }
    if (walk->rest > 0) {
      tinyml_conv_2d_dsp_take_rests(walk, walk->runs, from0, from1, walk->rests[0], walk->rests[1]);
    } else if (walk->end != 0) {
      tinyml_dsp_widen_runs(walk->words + walk->runs * words, from0 + walk->end, from1 + walk->end,
                            1, walk->runs, walk->step - 4);
    }
  }
#endif
  if (walk->rest > 0) {
    tinyml_dsp_widen(walk->words + walk->runs * words, walk->rests[0], walk->rests[1],
                     (walk->runs * walk->rest + 3) / 4);
  }
}

/* input: NHWC. */
TINYML_KERNEL void tinyml_conv_2d_dsp(const tinyml_conv_2d_dsp_params *p, const int8_t *input,
                                      const int32_t *weights, const int32_t *scale,
                                      const int8_t *shift, int8_t *output, int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const int32_t channels = p->matrix.channels;
  tinyml_dsp_blocks blocks = tinyml_dsp_pair_blocks(&p->matrix, scratch, weights, scale, shift);
  tinyml_conv_2d_dsp_walk walk = tinyml_conv_2d_dsp_start(p, input, scratch);
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
      tinyml_conv_2d_dsp_gather(&walk, pixels);
      blocks.output0 = output;
      blocks.output1 = left > 1 ? output + channels : output;
      p->matrix.multiply(&p->matrix, &blocks);
      tinyml_conv_2d_dsp_advance(w, &pixels[1]);
      output += left > 1 ? 2 * channels : channels;
    }
    walk.input += w->input_height * walk.row_bytes;
  }
}

#endif
