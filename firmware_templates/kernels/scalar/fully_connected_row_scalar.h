/* FULLY_CONNECTED of a single row, int8, for cores without SIMD instructions: two channels in one
 * product. Equals fully_connected.h to the bit.
 *
 * A word has the weights of four channels for one input, each raised by 128: bytes A, B, C, D.
 * Taking it apart gives A + C * 2^16 and B + D * 2^16, and one multiplication with an input adds to
 * the sums of two channels. A sum of few products fits its 16 bits, in which the upper channel's
 * sum is exact once the lower one cannot be negative. So the products are cut into segments that
 * fit whatever the inputs are, which the host finds from the weights (ops/scalar/row.py): short
 * ones where weights are large. After a segment both sums are added to their totals. What the
 * raised weights are too much is 128 times the sum of the inputs, for both channels alike.
 *
 * Memory: the input is read again for each eight channels.
 */
#ifndef TINYML_FULLY_CONNECTED_ROW_SCALAR_H
#define TINYML_FULLY_CONNECTED_ROW_SCALAR_H

#include "tinyml_scalar.h"

typedef struct {
  int32_t depth;
  int32_t channels;
  int32_t scale_step;           /* 1: constants for each channel; 0: the same for all */
  tinyml_requantization output; /* for TINYML_SCALAR_GENERAL */
  int32_t form;                 /* TINYML_SCALAR_… */
} tinyml_fully_connected_row_scalar_params;

#define TINYML_ROW_CHANNELS 8

/* The 128 that each weight of a pair of channels is raised by. */
#define TINYML_ROW_RAISED UINT32_C(0x00800080)

/* What makes the lower sum of a segment positive; the host takes it out of the bias. */
#define TINYML_ROW_START UINT32_C(0x8000)

/* One input times the weights of eight channels. */
#define TINYML_ROW_PRODUCTS(i)                                                                     \
  do {                                                                                             \
    const uint32_t x = (uint32_t)(int32_t)input[i];                                                \
    const uint32_t first = weights[2 * (i)], second = weights[2 * (i) + 1];                        \
    sum += x;                                                                                      \
    a += x * (first & mask);                                                                       \
    b += x * (first >> 8 & mask);                                                                  \
    c += x * (second & mask);                                                                      \
    d += x * (second >> 8 & mask);                                                                 \
    __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(sum) : : "memory");             \
  } while (0)

/* Adds the sums of a segment to the totals of its two channels. */
#define TINYML_ROW_ADD(pair, lower, upper)                                                         \
  do {                                                                                             \
    const uint32_t exact = (pair) - raised;                                                        \
    (lower) += (int32_t)(exact & 0xFFFFu);                                                         \
    (upper) += (int32_t)exact >> 16;                                                               \
  } while (0)

/* The sums of eight channels. segments: how many products each segment has; as many as make depth.
 * Returns where the next block's segments are. */
TINYML_SCALAR_SHARED const uint8_t *tinyml_scalar_dot_row(const int8_t *input, int32_t depth,
                                                          const uint32_t *weights,
                                                          const uint8_t *segments,
                                                          int32_t sums[TINYML_ROW_CHANNELS]) {
  const uint32_t mask = (uint32_t)tinyml_in_register(0x00FF00FF);
  const int8_t *const end = input + depth;
  int32_t a0 = sums[0], b0 = sums[1], a1 = sums[2], b1 = sums[3];
  int32_t c0 = sums[4], d0 = sums[5], c1 = sums[6], d1 = sums[7];
  while (input != end) {
    uint32_t a = TINYML_ROW_START, b = a, c = a, d = a, sum = 0;
    int32_t left = *segments++;
    for (; left >= 4; left -= 4) {
      TINYML_ROW_PRODUCTS(0);
      TINYML_ROW_PRODUCTS(1);
      TINYML_ROW_PRODUCTS(2);
      TINYML_ROW_PRODUCTS(3);
      TINYML_ADVANCE(input, 4);
      TINYML_ADVANCE(weights, 8);
    }
    for (; left > 0; --left) {
      TINYML_ROW_PRODUCTS(0);
      TINYML_ADVANCE(input, 1);
      TINYML_ADVANCE(weights, 2);
    }
    const uint32_t raised = sum * TINYML_ROW_RAISED;
    TINYML_ROW_ADD(a, a0, a1);
    TINYML_ROW_ADD(b, b0, b1);
    TINYML_ROW_ADD(c, c0, c1);
    TINYML_ROW_ADD(d, d0, d1);
  }
  sums[0] = a0, sums[1] = b0, sums[2] = a1, sums[3] = b1;
  sums[4] = c0, sums[5] = d0, sums[6] = c1, sums[7] = d1;
  return segments;
}

/* weights: for each eight channels and each input two words. bias: padded to eight channels. */
TINYML_KERNEL void
tinyml_fully_connected_row_scalar(const tinyml_fully_connected_row_scalar_params *p,
                                  const int8_t *input, const int32_t *weights,
                                  const uint8_t *segments, const int32_t *bias,
                                  const int32_t *scale, const int8_t *shift, int8_t *output) {
  tinyml_scalar_scale constants = tinyml_scalar_load(p->form, &p->output, scale, shift, 0);
  for (int32_t first = 0; first < p->channels; first += TINYML_ROW_CHANNELS) {
    const int32_t count = tinyml_min(TINYML_ROW_CHANNELS, p->channels - first);
    int32_t sums[TINYML_ROW_CHANNELS];
    for (int32_t i = 0; i < TINYML_ROW_CHANNELS; ++i) {
      sums[i] = bias[first + i];
    }
    segments = tinyml_scalar_dot_row(input, p->depth, (const uint32_t *)weights, segments, sums);
    weights += 2 * p->depth;
    for (int32_t i = 0; i < count; ++i) {
      if (p->scale_step != 0) {
        constants = tinyml_scalar_load(p->form, &p->output, scale, shift, first + i);
      }
      *output++ = tinyml_scalar_requantize(p->form, &p->output, &constants, sums[i]);
    }
  }
}

#endif
