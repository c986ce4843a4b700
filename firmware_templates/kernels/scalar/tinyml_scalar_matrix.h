/* Matrix products for cores without SIMD instructions: what convolutions and fully connected layers
 * share once their inputs are gathered.
 *
 * A tile of pixels times a block of four output channels stays in registers, so that each loaded
 * byte serves four products, or two where the core has few registers. The stream of weights has,
 * for each block, the four weights of the first product, of the second, and so on, padded with
 * zeros to a multiple of four products; tinyml_sdk/ops/scalar/matrix.py writes it. The inputs of a
 * tile lie in turns, a word of four bytes of each pixel, so that one pointer leads to all of them.
 */
#ifndef TINYML_SCALAR_MATRIX_H
#define TINYML_SCALAR_MATRIX_H

#include "tinyml_scalar_armv6m.h"

/* The constants of a layer, in flash. */
typedef struct {
  const int8_t *weights;
  const int32_t *bias;  /* of each channel, padded to whole blocks */
  const int32_t *scale; /* see tinyml_scalar_load */
  const int8_t *shift;
} tinyml_scalar_constants;

typedef struct tinyml_scalar_matrix tinyml_scalar_matrix;

struct tinyml_scalar_matrix {
  int32_t depth;      /* products of an output, padded to a multiple of 4 */
  int32_t channels;   /* outputs */
  uint8_t tile;       /* pixels that are computed together */
  uint8_t widened;    /* whether inputs are words of two pixels (Armv6-M) */
  uint8_t scale_step; /* 1: scale and shift for each channel; 0: the same for all */
  uint8_t form;       /* TINYML_SCALAR_… */
  tinyml_requantization output;
  /* The instance below for the layer's form, or for all forms, which takes the form's function.
   * Named by the layer, so that no other is linked.
   * inputs: words of the tile's pixels in turns. pixels: how many of them have an output. */
  void (*multiply)(const tinyml_scalar_matrix *m, int8_t *inputs,
                   const tinyml_scalar_constants *constants, int8_t *output, int32_t pixels);
  tinyml_scalar_finisher *finish; /* NULL where the instance is for one form */
};

/* -- sums of products -------------------------------------------------------------------------- */

/* Four pixels x four channels: 40 instructions for 16 products with enough registers (RISC-V).
 * sums: [channel][pixel]. */
#define TINYML_SCALAR_CHANNEL_OF_4(weight, a, b, c, d)                                             \
  do {                                                                                             \
    const int32_t w = (weight);                                                                    \
    (a) += x0 * w;                                                                                 \
    (b) += x1 * w;                                                                                 \
    (c) += x2 * w;                                                                                 \
    (d) += x3 * w;                                                                                 \
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d) : : "memory");                        \
  } while (0)

#define TINYML_SCALAR_STEP_4X4(i)                                                                  \
  do {                                                                                             \
    const int32_t x0 = inputs[i], x1 = inputs[4 + (i)];                                            \
    const int32_t x2 = inputs[8 + (i)], x3 = inputs[12 + (i)];                                     \
    TINYML_SCALAR_CHANNEL_OF_4(weights[4 * (i)], a0, a1, a2, a3);                                  \
    TINYML_SCALAR_CHANNEL_OF_4(weights[4 * (i) + 1], b0, b1, b2, b3);                              \
    TINYML_SCALAR_CHANNEL_OF_4(weights[4 * (i) + 2], c0, c1, c2, c3);                              \
    TINYML_SCALAR_CHANNEL_OF_4(weights[4 * (i) + 3], d0, d1, d2, d3);                              \
  } while (0)

TINYML_SCALAR_SHARED void tinyml_scalar_dot_4x4(const int8_t *inputs, int32_t depth,
                                                const int8_t *weights, const int32_t *bias,
                                                int32_t *sums) {
  const int8_t *const end = inputs + 4 * depth;
  int32_t a0 = bias[0], a1 = a0, a2 = a0, a3 = a0;
  int32_t b0 = bias[1], b1 = b0, b2 = b0, b3 = b0;
  int32_t c0 = bias[2], c1 = c0, c2 = c0, c3 = c0;
  int32_t d0 = bias[3], d1 = d0, d2 = d0, d3 = d0;
  do {
    TINYML_SCALAR_STEP_4X4(0);
    TINYML_SCALAR_STEP_4X4(1);
    TINYML_SCALAR_STEP_4X4(2);
    TINYML_SCALAR_STEP_4X4(3);
    TINYML_ADVANCE(inputs, 16);
    TINYML_ADVANCE(weights, 16);
  } while (inputs != end);
  sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
  sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
  sums[8] = c0, sums[9] = c1, sums[10] = c2, sums[11] = c3;
  sums[12] = d0, sums[13] = d1, sums[14] = d2, sums[15] = d3;
}

/* Two pixels x four channels: 22 instructions for 8 products, 14 with a multiply-accumulate.
 * sums: [channel][pixel]. */
#define TINYML_SCALAR_CHANNEL_OF_2(weight, a, b)                                                   \
  do {                                                                                             \
    const int32_t w = (weight);                                                                    \
    (a) += x0 * w;                                                                                 \
    (b) += x1 * w;                                                                                 \
    __asm__ volatile("" : "+r"(a), "+r"(b) : : "memory");                                          \
  } while (0)

#define TINYML_SCALAR_STEP_2X4(i)                                                                  \
  do {                                                                                             \
    const int32_t x0 = inputs[i], x1 = inputs[4 + (i)];                                            \
    TINYML_SCALAR_CHANNEL_OF_2(weights[4 * (i)], a0, a1);                                          \
    TINYML_SCALAR_CHANNEL_OF_2(weights[4 * (i) + 1], b0, b1);                                      \
    TINYML_SCALAR_CHANNEL_OF_2(weights[4 * (i) + 2], c0, c1);                                      \
    TINYML_SCALAR_CHANNEL_OF_2(weights[4 * (i) + 3], d0, d1);                                      \
  } while (0)

TINYML_SCALAR_SHARED void tinyml_scalar_dot_2x4(const int8_t *inputs, int32_t depth,
                                                const int8_t *weights, const int32_t *bias,
                                                int32_t *sums) {
  const int8_t *const end = inputs + 2 * depth;
  int32_t a0 = bias[0], a1 = a0, b0 = bias[1], b1 = b0;
  int32_t c0 = bias[2], c1 = c0, d0 = bias[3], d1 = d0;
  do {
    TINYML_SCALAR_STEP_2X4(0);
    TINYML_SCALAR_STEP_2X4(1);
    TINYML_SCALAR_STEP_2X4(2);
    TINYML_SCALAR_STEP_2X4(3);
    TINYML_ADVANCE(inputs, 8);
    TINYML_ADVANCE(weights, 16);
  } while (inputs != end);
  sums[0] = a0, sums[1] = a1, sums[2] = b0, sums[3] = b1;
  sums[4] = c0, sums[5] = c1, sums[6] = d0, sums[7] = d1;
}

/* -- all channels ------------------------------------------------------------------------------ */

/* The outputs of a channel's sums. Constants are loaded here, not before, as they take five
 * registers. base: of the form, see tinyml_scalar_base. */
TINYML_INLINE void tinyml_scalar_outputs(int32_t form, const tinyml_scalar_matrix *m, int32_t base,
                                         const tinyml_scalar_constants *constants, int32_t channel,
                                         const int32_t *sums, int8_t *output, int32_t pixels) {
  const int32_t index = channel * m->scale_step;
  output += channel;
  if (form == TINYML_SCALAR_ANY) {
    const tinyml_scalar_scale scale =
        tinyml_scalar_load(m->form, &m->output, constants->scale, constants->shift, index);
    m->finish(&m->output, &scale, sums, pixels, output, m->channels);
    return;
  }
  const tinyml_scalar_scale scale =
      tinyml_scalar_load_form(form, &m->output, base, constants->scale, constants->shift, index);
  if (form == TINYML_SCALAR_NARROW) {
    tinyml_scalar_finish_narrow(&m->output, &scale, sums, pixels, output, m->channels);
  } else {
    tinyml_scalar_finish(form, &m->output, &scale, sums, pixels, output, m->channels);
  }
}

TINYML_INLINE void tinyml_scalar_multiply(int32_t form, int32_t tile,
                                          void (*dot)(const int8_t *, int32_t, const int8_t *,
                                                      const int32_t *, int32_t *),
                                          const tinyml_scalar_matrix *m, int8_t *inputs,
                                          const tinyml_scalar_constants *constants, int8_t *output,
                                          int32_t pixels) {
  const int32_t base = tinyml_scalar_base(form, &m->output);
  const int8_t *weights = constants->weights;
  int32_t sums[16];
  for (int32_t channel = 0; channel < m->channels; channel += 4) {
    dot(inputs, m->depth, weights, constants->bias + channel, sums);
    const int32_t end = tinyml_min(channel + 4, m->channels);
    const int32_t *sum = sums;
    for (int32_t i = channel; i < end; ++i, sum += tile) {
      if (pixels == tile) { /* a literal */
        tinyml_scalar_outputs(form, m, base, constants, i, sum, output, tile);
      } else {
        tinyml_scalar_outputs(form, m, base, constants, i, sum, output, pixels);
      }
    }
    weights += 4 * m->depth;
  }
}

#define TINYML_SCALAR_MULTIPLY(name, form, tile, dot)                                              \
  TINYML_SCALAR_SHARED void tinyml_scalar_##name(const tinyml_scalar_matrix *m, int8_t *inputs,    \
                                                 const tinyml_scalar_constants *constants,         \
                                                 int8_t *output, int32_t pixels) {                 \
    tinyml_scalar_multiply(form, tile, dot, m, inputs, constants, output, pixels);                 \
  }

TINYML_SCALAR_MULTIPLY(tile_4_clamped, TINYML_SCALAR_CLAMPED, 4, tinyml_scalar_dot_4x4)
TINYML_SCALAR_MULTIPLY(tile_4_signed, TINYML_SCALAR_SIGNED, 4, tinyml_scalar_dot_4x4)
TINYML_SCALAR_MULTIPLY(tile_4_general, TINYML_SCALAR_GENERAL, 4, tinyml_scalar_dot_4x4)
TINYML_SCALAR_MULTIPLY(tile_2_clamped, TINYML_SCALAR_CLAMPED, 2, tinyml_scalar_dot_2x4)
TINYML_SCALAR_MULTIPLY(tile_2_signed, TINYML_SCALAR_SIGNED, 2, tinyml_scalar_dot_2x4)
TINYML_SCALAR_MULTIPLY(tile_2_general, TINYML_SCALAR_GENERAL, 2, tinyml_scalar_dot_2x4)

/* The same channel by channel, from words of two pixels, which are made of the bytes behind them.
 */
TINYML_INLINE void tinyml_armv6m_multiply(int32_t form, const tinyml_scalar_matrix *m,
                                          int8_t *inputs, const tinyml_scalar_constants *constants,
                                          int8_t *output, int32_t pixels) {
  const int32_t base = tinyml_scalar_base(form, &m->output);
  const int8_t *weights = constants->weights;
  tinyml_armv6m_widen(inputs, m->depth);
  for (int32_t channel = 0; channel < m->channels; ++channel) {
    int32_t sums[4];
    sums[0] = constants->bias[channel];
    tinyml_armv6m_dot_4x1((const uint32_t *)(void *)inputs, weights, m->depth, sums);
    weights += m->depth;
    tinyml_scalar_outputs(form, m, base, constants, channel, sums, output, pixels);
  }
}

#define TINYML_ARMV6M_MULTIPLY(name, form)                                                         \
  TINYML_SCALAR_SHARED void tinyml_scalar_##name(const tinyml_scalar_matrix *m, int8_t *inputs,    \
                                                 const tinyml_scalar_constants *constants,         \
                                                 int8_t *output, int32_t pixels) {                 \
    tinyml_armv6m_multiply(form, m, inputs, constants, output, pixels);                            \
  }

TINYML_ARMV6M_MULTIPLY(armv6m_clamped, TINYML_SCALAR_CLAMPED)
TINYML_ARMV6M_MULTIPLY(armv6m_signed, TINYML_SCALAR_SIGNED)
TINYML_ARMV6M_MULTIPLY(armv6m_general, TINYML_SCALAR_GENERAL)
TINYML_ARMV6M_MULTIPLY(armv6m_narrow, TINYML_SCALAR_NARROW)
TINYML_ARMV6M_MULTIPLY(armv6m, TINYML_SCALAR_ANY)

#endif
