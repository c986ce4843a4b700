/* DEPTHWISE_CONV_2D, int8, for the DSP extension: filters of any size, stride 1 or 2 along the
 * width and any along the height, dilation, one output for each channel.
 * Arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
 *
 * Four channels at a time go through the whole image. An input row is widened into a line for each
 * of them, two neighbouring pixels to a word, so that one SMLAD makes two taps; scratch has as many
 * lines of a channel as the filter has rows. Words lie at even columns, those of the padding
 * included. A window of stride 1 that begins at an odd one reads the same words as the one before
 * it, with the weights a column further on: so there are pairs of weights for both.
 *
 *   even: (w0, w1) (w2, 0)
 *   odd:  (0, w0) (w1, w2)
 *
 * With dilation, every so many rows and columns make an image of their own, which has none.
 *
 * The padding is filled with the input's zero point, whose share of the sum is in the bias.
 * tinyml_dsp_depthwise_outputs.h has what becomes of a sum.
 *
 * Memory: what a channel still needs of the rows that its output overwrites is in the lines, and
 * other channels lie elsewhere, as for tinyml_dsp_depthwise.h; how far the output may lie over rows
 * that are not there yet, tinyml_sdk/ops/dsp/depthwise_lines.py finds out.
 */
#ifndef TINYML_DSP_DEPTHWISE_LINES_H
#define TINYML_DSP_DEPTHWISE_LINES_H

#include "../tinyml_window.h"
#include "tinyml_dsp_lines.h"

#define TINYML_DSP_LINES_LANES 4

typedef struct {
  tinyml_window window;
  int32_t channels; /* at least 4 */
  int32_t filters; /* channels that have a filter of their own: those behind them have them again */
  int32_t pairs;   /* words that a window reads of a line */
  int32_t line_words;
  tinyml_dsp_lines_function *row; /* the instance for stride, pairs and form */
  tinyml_dsp_depthwise_scaling scaling;
  int8_t input_zero_point;
} tinyml_dsp_depthwise_lines_params;

/* The layer's constants, in flash. */
typedef struct {
  const int8_t *weights; /* [channel][row][column] */
  const int32_t *bias;
  const int32_t *multiplier;
  const int8_t *shift; /* as for tinyml_dsp_depthwise.h */
} tinyml_dsp_lines_constants;

/* -- lines ------------------------------------------------------------------------------------- */

/* Every so many positions of an axis as one of their own. */
typedef struct {
  int32_t input; /* the first position */
  int32_t inputs;
  int32_t outputs;
  int32_t padding;
} tinyml_dsp_lines_axis;

/* That of the output positions from `phase` on. */
TINYML_INLINE tinyml_dsp_lines_axis tinyml_dsp_lines_part(int32_t phase, int32_t dilation,
                                                          int32_t padding, int32_t inputs,
                                                          int32_t outputs) {
  tinyml_dsp_lines_axis axis;
  const int32_t before = padding - phase; /* of the padding, in front of the first window */
  axis.padding = before > 0 ? (before + dilation - 1) / dilation : 0;
  axis.input = axis.padding * dilation - before;
  axis.inputs = axis.input < inputs ? (inputs - axis.input + dilation - 1) / dilation : 0;
  axis.outputs = (outputs - phase + dilation - 1) / dilation;
  return axis;
}

/* Where the lines of four channels come from. */
typedef struct {
  const int8_t *input; /* the first row, at the first of the channels */
  int32_t row_bytes;
  int32_t step; /* from a pixel to the next */
  int32_t rows;
  int32_t columns; /* that the windows reach */
  int32_t padding; /* columns of a line before them */
  int32_t next;    /* words from a channel's line to the next one's */
  uint32_t zero;   /* two pixels of padding */
} tinyml_dsp_lines_source;

/* Behind an odd padding, pixels lie between words. */
TINYML_INLINE void tinyml_dsp_lines_store(int8_t *to, uint32_t word) {
  __builtin_memcpy(to, &word, 4);
}

/* Two pixels of four channels. */
TINYML_INLINE void tinyml_dsp_lines_widen_pair(uint32_t first, uint32_t second, int32_t next_bytes,
                                               int8_t *to) {
  const uint32_t low = tinyml_pkhbt(first, second), high = tinyml_pkhtb(second, first);
  tinyml_dsp_lines_store(to, tinyml_sxtb16(low));
  tinyml_dsp_lines_store(to + next_bytes, tinyml_sxtb16_odd(low));
  tinyml_dsp_lines_store(to + 2 * next_bytes, tinyml_sxtb16(high));
  tinyml_dsp_lines_store(to + 3 * next_bytes, tinyml_sxtb16_odd(high));
}

TINYML_INLINE void tinyml_dsp_lines_fill(uint32_t *words, int32_t count, uint32_t value) {
  TINYML_ROLLED
  for (; count > 0; --count) {
    *words++ = value;
  }
}

/* Widens a row into a line of each channel. */
TINYML_SHARED void tinyml_dsp_lines_widen(const tinyml_dsp_lines_source *source, int32_t row,
                                          uint32_t *lines) {
  if ((uint32_t)row >= (uint32_t)source->rows) {
    tinyml_dsp_lines_fill(lines, TINYML_DSP_LINES_LANES * source->next, source->zero);
    return;
  }
  const int8_t *from = source->input + row * source->row_bytes;
  int8_t *to = (int8_t *)(void *)lines + 2 * source->padding;
  const int32_t step = source->step, next_bytes = 4 * source->next;
  int32_t left = source->columns;
  TINYML_ROLLED
  for (; left > 1; left -= 2) {
    tinyml_dsp_lines_widen_pair(tinyml_load_word(from), tinyml_load_word(from + step), next_bytes,
                                to);
    from += 2 * step;
    to += 4;
  }
  if (left == 1) {
    /* What follows the last one is padding, or met by no weight. */
    const uint32_t zero = (source->zero & 0xffu) * UINT32_C(0x01010101);
    tinyml_dsp_lines_widen_pair(tinyml_load_word(from), zero, next_bytes, to);
  }
}

/* -- the image --------------------------------------------------------------------------------- */

/* A channel's constants, and its pairs of weights twice, so that any filter row can be the first.
 */
TINYML_INLINE void tinyml_dsp_lines_unpack(const tinyml_dsp_depthwise_lines_params *p,
                                           const tinyml_dsp_lines_constants *constants,
                                           int32_t filter, uint32_t *pairs, int32_t filter_words,
                                           tinyml_dsp_lines_channel *channel) {
  const tinyml_window *w = &p->window;
  const int32_t shift = constants->shift[filter];
  const int32_t left = tinyml_dsp_depthwise_left(&p->scaling, shift);
  const int8_t *weights = constants->weights + filter * w->filter_height * w->filter_width;
  channel->bias = constants->bias[filter];
  channel->scale =
      tinyml_dsp_depthwise_scale_of(&p->scaling, left, constants->multiplier[filter], shift);
  for (int32_t row = 0; row < w->filter_height; ++row) {
    uint32_t before = 0;
    TINYML_ROLLED
    for (int32_t taps = w->filter_width, pair = 0; pair < p->pairs; ++pair) {
      const uint32_t first = taps > 0 ? (uint32_t)*weights++ << left : 0;
      const uint32_t second = taps > 1 ? (uint32_t)*weights++ << left : 0;
      pairs[filter_words] = tinyml_pkhbt(first, second);
      *pairs++ = tinyml_pkhbt(first, second);
      if (w->stride_width == 1) {
        pairs[filter_words] = tinyml_pkhbt(before, first);
        *pairs++ = tinyml_pkhbt(before, first);
      }
      before = second;
      taps -= 2;
    }
  }
}

/* What is the same for all rows of a part of the image. */
TINYML_INLINE void tinyml_dsp_lines_prepare(const tinyml_dsp_depthwise_lines_params *p,
                                            int32_t outputs, const uint32_t *line,
                                            tinyml_dsp_lines_channel *channel) {
  const tinyml_window *w = &p->window;
  const int32_t step = w->dilation_width * p->channels;
  const int32_t rest = (outputs - 1) % 4; /* of the last ones, those behind the first */
  channel->row_bytes = 4 * TINYML_DSP_LINES_LANES * p->line_words;
  channel->back = w->filter_height * channel->row_bytes - 8 * w->stride_width;
  channel->whole_end = line + outputs / 4 * 2 * w->stride_width;
  channel->end = line + (outputs + 3) / 4 * 2 * w->stride_width;
  channel->places = (tinyml_dsp_lines_places){step, 2 * step, 3 * step, 4 * step};
  channel->last = (tinyml_dsp_lines_places){tinyml_min(rest, 1) * step, tinyml_min(rest, 2) * step,
                                            rest * step, 0};
  channel->activation_min = p->scaling.activation_min;
  channel->activation_max = p->scaling.activation_max;
  channel->pairs = p->pairs;
}

/* Four channels of a part of the image; of these, those from `lane` on are computed. */
TINYML_INLINE void tinyml_dsp_lines_rows(const tinyml_dsp_depthwise_lines_params *p,
                                         const tinyml_dsp_lines_axis *rows,
                                         const tinyml_dsp_lines_source *source,
                                         tinyml_dsp_lines_channel *channels, int32_t filter_words,
                                         int32_t first_lane, int8_t *output, uint32_t *lines) {
  const int32_t height = p->window.filter_height, stride = p->window.stride_height;
  const int32_t row_words = TINYML_DSP_LINES_LANES * source->next;
  const int32_t output_bytes = p->window.dilation_height * p->window.output_width * p->channels;
  const uint32_t *const pairs = lines + height * row_words;
  int32_t next = -rows->padding; /* the row that has no line yet */
  int32_t oldest = 0;            /* where the window's first row is in the lines */
  for (int32_t i = 0; i < height; ++i) {
    tinyml_dsp_lines_widen(source, next++, lines + i * row_words);
  }
  for (int32_t left = rows->outputs;;) {
    /* The first of the lines has the window's row behind those from the oldest one on. */
    const int32_t skipped = oldest == 0 ? 0 : (height - oldest) * (filter_words / height);
    for (int32_t lane = first_lane; lane < TINYML_DSP_LINES_LANES; ++lane) {
      channels[lane].weights = pairs + 2 * lane * filter_words + skipped;
      channels[lane].weights_end = channels[lane].weights + filter_words;
      p->row(lines + lane * source->next, output + lane, &channels[lane]);
    }
    if (--left == 0) {
      return;
    }
    output += output_bytes;
    next += stride;
    for (int32_t newer = tinyml_min(stride, height); newer > 0; --newer) {
      tinyml_dsp_lines_widen(source, next - newer, lines + oldest * row_words);
      oldest = oldest + 1 < height ? oldest + 1 : 0;
    }
  }
}

/* Every so many rows and columns of an image: those whose windows begin at `rows` and `columns`. */
TINYML_INLINE void tinyml_dsp_lines_part_of_image(const tinyml_dsp_depthwise_lines_params *p,
                                                  const tinyml_dsp_lines_axis *rows,
                                                  const tinyml_dsp_lines_axis *columns,
                                                  const int8_t *input,
                                                  const tinyml_dsp_lines_constants *constants,
                                                  int8_t *output, uint32_t *lines) {
  const tinyml_window *w = &p->window;
  const uint32_t zero = (uint32_t)(int32_t)p->input_zero_point;
  const int32_t span = (columns->outputs - 1) * w->stride_width + w->filter_width;
  const int32_t words = w->filter_height * TINYML_DSP_LINES_LANES * p->line_words;
  const int32_t filter_words = w->filter_height * p->pairs * (3 - w->stride_width);
  tinyml_dsp_lines_source source = {
      .row_bytes = w->dilation_height * w->input_width * p->channels,
      .step = w->dilation_width * p->channels,
      .rows = rows->inputs,
      .columns = tinyml_min(columns->inputs, span - columns->padding),
      .padding = columns->padding,
      .next = p->line_words,
      .zero = tinyml_pkhbt(zero, zero),
  };
  tinyml_dsp_lines_channel channels[TINYML_DSP_LINES_LANES];
  for (int32_t lane = 0; lane < TINYML_DSP_LINES_LANES; ++lane) {
    tinyml_dsp_lines_prepare(p, columns->outputs, lines + lane * p->line_words, &channels[lane]);
  }
  tinyml_dsp_lines_fill(lines, words, source.zero);
  input += (rows->input * w->input_width + columns->input) * p->channels;
  for (int32_t channel = 0; channel < p->channels; channel += TINYML_DSP_LINES_LANES) {
    /* As in tinyml_dsp_depthwise_batch. */
    const int32_t base = tinyml_min(channel, p->channels - TINYML_DSP_LINES_LANES);
    for (int32_t lane = 0; lane < TINYML_DSP_LINES_LANES; ++lane) {
      tinyml_dsp_lines_unpack(p, constants, (base + lane) % p->filters,
                              lines + words + 2 * lane * filter_words, filter_words,
                              &channels[lane]);
    }
    source.input = input + base;
    tinyml_dsp_lines_rows(p, rows, &source, channels, filter_words, channel - base, output + base,
                          lines);
  }
}

/* input: NHWC. scratch: the lines of four channels, and their pairs of weights. */
TINYML_SHARED void tinyml_dsp_depthwise_lines(const tinyml_dsp_depthwise_lines_params *p,
                                              const int8_t *input, const int8_t *weights,
                                              const int32_t *bias, const int32_t *multiplier,
                                              const int8_t *shift, int8_t *output,
                                              int8_t *scratch) {
  const tinyml_window *w = &p->window;
  const tinyml_dsp_lines_constants constants = {weights, bias, multiplier, shift};
  const int32_t input_bytes = w->input_height * w->input_width * p->channels;
  const int32_t output_bytes = w->output_height * w->output_width * p->channels;
  input = tinyml_dsp_depthwise_input(input, w->batches * input_bytes, output,
                                     w->batches * output_bytes, p->channels);
  for (int32_t batch = 0; batch < w->batches; ++batch) {
    for (int32_t y = 0; y < tinyml_min(w->dilation_height, w->output_height); ++y) {
      const tinyml_dsp_lines_axis rows = tinyml_dsp_lines_part(
          y, w->dilation_height, w->padding_top, w->input_height, w->output_height);
      for (int32_t x = 0; x < tinyml_min(w->dilation_width, w->output_width); ++x) {
        const tinyml_dsp_lines_axis columns = tinyml_dsp_lines_part(
            x, w->dilation_width, w->padding_left, w->input_width, w->output_width);
        tinyml_dsp_lines_part_of_image(p, &rows, &columns, input, &constants,
                                       output + (y * w->output_width + x) * p->channels,
                                       (uint32_t *)(void *)scratch);
      }
    }
    input += input_bytes;
    output += output_bytes;
  }
}

#endif
