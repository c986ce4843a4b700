/* Matrix products for cores with the DSP extension: what convolutions and fully connected layers
 * share once their inputs are gathered. tinyml_dsp_sums.h has the sums, and the order of weights.
 *
 * Blocks are of four channels of two pixels, or of eight channels of a row. What channels are left
 * over is computed in pairs, which the stream has in the same way; but of two pixels' last three,
 * a block of four which begins with the last channel of the one before.
 */
#ifndef TINYML_DSP_MATRIX_H
#define TINYML_DSP_MATRIX_H

#include "tinyml_dsp_sums.h"

/* What a product of a matrix with gathered inputs needs to know. */
typedef struct tinyml_dsp_matrix tinyml_dsp_matrix;

struct tinyml_dsp_matrix {
  int32_t depth;    /* products of an output, padded to a multiple of 4 */
  int32_t channels; /* outputs */
  /* The instance below for the layer's form. Named by the layer, so that no other is linked. */
  void (*multiply)(const tinyml_dsp_matrix *m, const tinyml_dsp_blocks *whole);
  tinyml_requantization output; /* for TINYML_FORM_GENERAL */
  int8_t scale_step; /* of a row. 4: scales for each four channels; 0: the same for all */
};

/* What is the same for all pixels: all but where their outputs go. */
TINYML_INLINE tinyml_dsp_blocks tinyml_dsp_whole_blocks(const tinyml_dsp_matrix *m,
                                                        const void *inputs, const int32_t *weights,
                                                        const int32_t *scale, const int8_t *shift) {
  tinyml_dsp_blocks b;
  b.activations = (const uint32_t *)inputs;
  b.activations_end = b.activations + m->depth;
  b.weights = weights;
  b.weights_end = weights + m->channels / 4 * (4 + m->depth);
  b.scale = scale;
  b.shift = shift;
  b.output0 = NULL;
  b.output1 = NULL;
  b.first_steps = m->depth / 2 % TINYML_TURN;
  return b;
}

/* The same for the blocks of two pixels. */
TINYML_INLINE tinyml_dsp_blocks tinyml_dsp_pair_blocks(const tinyml_dsp_matrix *m,
                                                       const void *inputs, const int32_t *weights,
                                                       const int32_t *scale, const int8_t *shift) {
  tinyml_dsp_blocks b = tinyml_dsp_whole_blocks(m, inputs, weights, scale, shift);
  b.last_end = b.weights_end;
  if (m->channels % 4 == 3) {
    b.last_end += 4 + m->depth;
  }
  if (m->channels == 3) {
    b.weights_end = b.last_end;
  }
  return b;
}

/* Three channels: no more are stored. */
TINYML_INLINE void tinyml_dsp_few_channels(void (*compute)(const tinyml_dsp_blocks *),
                                           const tinyml_dsp_matrix *m,
                                           const tinyml_dsp_blocks *whole) {
  int8_t outputs[2][4];
  tinyml_dsp_blocks b = *whole;
  b.output0 = outputs[0];
  b.output1 = outputs[1];
  compute(&b);
  for (int32_t channel = 0; channel < m->channels; ++channel) {
    whole->output1[channel] = outputs[1][channel];
    whole->output0[channel] = outputs[0][channel];
  }
}

/* All channels of two pixels, from widened inputs, by one of the forms in assembler. */
#define TINYML_DSP_PAIR(name)                                                                      \
  TINYML_SHARED void tinyml_dsp_pair_##name(const tinyml_dsp_matrix *m,                            \
                                            const tinyml_dsp_blocks *whole) {                      \
    if (m->channels == 3) {                                                                        \
      tinyml_dsp_few_channels(tinyml_dsp_blocks_##name, m, whole);                                 \
    } else {                                                                                       \
      tinyml_dsp_blocks_##name(whole);                                                             \
    }                                                                                              \
  }

TINYML_DSP_PAIR(clamped)
TINYML_DSP_PAIR(signed)

/* Whole blocks, and one that overlaps or is of three channels. */
TINYML_INLINE void tinyml_dsp_pair_in_general(const tinyml_dsp_matrix *m,
                                              const tinyml_dsp_blocks *whole, int32_t channels) {
  const tinyml_dsp_scales scales = {whole->scale, whole->shift};
  const int32_t *weights = whole->weights;
  int32_t sums[8];
  for (int32_t block = 0; block < channels; block += 4) {
    const int32_t first = channels < 4 ? 0 : tinyml_min(block, channels - 4);
    tinyml_dsp_dot_2x4(whole->activations, weights, m->depth / 2, sums);
    weights += 4 + m->depth;
    for (int32_t i = 0; i < tinyml_min(channels, 4); ++i) {
      for (int32_t pixel = 1; pixel >= 0; --pixel) {
        int8_t *output = pixel == 1 ? whole->output1 : whole->output0;
        output[first + i] = tinyml_dsp_requantize(TINYML_FORM_GENERAL, &m->output, scales,
                                                  block + i, sums[4 * pixel + i]);
      }
    }
  }
}

TINYML_SHARED void tinyml_dsp_pair_general(const tinyml_dsp_matrix *m,
                                           const tinyml_dsp_blocks *whole) {
  tinyml_dsp_pair_in_general(m, whole, m->channels);
}

/* The one or two channels behind the whole blocks. */
TINYML_INLINE void tinyml_dsp_pair_last(int32_t form, const tinyml_dsp_matrix *m,
                                        const tinyml_dsp_blocks *whole) {
  const int32_t first = m->channels / 4 * 4;
  const tinyml_dsp_scales scales = {whole->scale + 2 * first, whole->shift + first};
  int32_t sums[4];
  tinyml_dsp_dot_2x2(whole->activations, whole->activations_end, whole->weights_end, sums);
  for (int32_t i = 0; i < m->channels % 4; ++i) {
    whole->output1[first + i] = tinyml_dsp_requantize(form, &m->output, scales, i, sums[2 + i]);
    whole->output0[first + i] = tinyml_dsp_requantize(form, &m->output, scales, i, sums[i]);
  }
}

/* All channels of two pixels where one or two are left over, or there are no more. */
#define TINYML_DSP_PAIR_TAIL(name, form, blocks)                                                   \
  TINYML_COMPACT void tinyml_dsp_pair_pairs_##name(const tinyml_dsp_matrix *m,                     \
                                                   const tinyml_dsp_blocks *whole) {               \
    tinyml_dsp_pair_last(form, m, whole);                                                          \
  }                                                                                                \
  TINYML_SHARED void tinyml_dsp_pair_tail_##name(const tinyml_dsp_matrix *m,                       \
                                                 const tinyml_dsp_blocks *whole) {                 \
    blocks;                                                                                        \
    tinyml_dsp_pair_pairs_##name(m, whole);                                                        \
  }

TINYML_DSP_PAIR_TAIL(clamped, TINYML_FORM_CLAMPED, tinyml_dsp_blocks_clamped(whole))
TINYML_DSP_PAIR_TAIL(signed, TINYML_FORM_SIGNED, tinyml_dsp_blocks_signed(whole))
TINYML_DSP_PAIR_TAIL(general, TINYML_FORM_GENERAL,
                     tinyml_dsp_pair_in_general(m, whole, m->channels / 4 * 4))

/* Which channels of a row are computed in pairs. */
enum { TINYML_PAIRS_NONE, TINYML_PAIRS_LAST, TINYML_PAIRS_ALL };

/* All channels of one row of bytes: the sums of eight, or of up to four that are left over, then
 * their outputs four at a time. */
TINYML_INLINE void tinyml_dsp_row(int32_t form, int32_t pairs, const tinyml_dsp_matrix *m,
                                  const tinyml_dsp_blocks *b) {
  const int8_t *input = (const int8_t *)(const void *)b->activations;
  const int32_t *weights = b->weights;
  tinyml_dsp_scales scales = {b->scale, b->shift};
  int8_t *output = b->output0;
  const int32_t depth = m->depth;
  int32_t sums[8];
  const int32_t *sum = sums + 8;
  for (int32_t left = m->channels; left > 0; left -= 4) {
    if (sum == sums + 8) {
      sum = sums;
      if (pairs == TINYML_PAIRS_ALL || (pairs == TINYML_PAIRS_LAST && left <= 4)) {
        weights = tinyml_dsp_dot_1x2(input, weights, depth / 4, sums);
        if (left > 2) {
          weights = tinyml_dsp_dot_1x2(input, weights, depth / 4, sums + 2);
        }
      } else {
        tinyml_dsp_dot_1x8(input, weights, depth / 4, sums);
        weights += 8 + 2 * depth;
      }
    }
    if (left < 4) {
      for (int32_t channel = 0; channel < left; ++channel) {
        output[channel] = tinyml_dsp_requantize(form, &m->output, scales, channel, sum[channel]);
      }
      return;
    }
    output[0] = tinyml_dsp_requantize(form, &m->output, scales, 0, sum[0]);
    output[1] = tinyml_dsp_requantize(form, &m->output, scales, 1, sum[1]);
    output[2] = tinyml_dsp_requantize(form, &m->output, scales, 2, sum[2]);
    output[3] = tinyml_dsp_requantize(form, &m->output, scales, 3, sum[3]);
    sum += 4;
    scales.scale += 2 * m->scale_step;
    scales.shift += m->scale_step;
    output += 4;
  }
}

#define TINYML_DSP_ROW(name, form, pairs)                                                          \
  TINYML_SHARED void tinyml_dsp_row_##name(const tinyml_dsp_matrix *m,                             \
                                           const tinyml_dsp_blocks *whole) {                       \
    tinyml_dsp_row(form, pairs, m, whole);                                                         \
  }
#define TINYML_DSP_ROW_KERNELS(name, form)                                                         \
  TINYML_DSP_ROW(name, form, TINYML_PAIRS_NONE)                                                    \
  TINYML_DSP_ROW(tail_##name, form, TINYML_PAIRS_LAST)                                             \
  TINYML_DSP_ROW(pairs_##name, form, TINYML_PAIRS_ALL)

TINYML_DSP_ROW_KERNELS(signed, TINYML_FORM_SIGNED)
#ifdef TINYML_OPTIMIZE_SIZE
/* Which are exact wherever the others are. */
#define tinyml_dsp_row_clamped tinyml_dsp_row_signed
#define tinyml_dsp_row_tail_clamped tinyml_dsp_row_tail_signed
#define tinyml_dsp_row_pairs_clamped tinyml_dsp_row_pairs_signed
#else
TINYML_DSP_ROW_KERNELS(clamped, TINYML_FORM_CLAMPED)
#endif
TINYML_DSP_ROW_KERNELS(general, TINYML_FORM_GENERAL)

#endif
