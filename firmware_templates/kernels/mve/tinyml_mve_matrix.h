/* Matrix products for cores with MVE: what convolutions and fully connected layers share once their
 * inputs lie one after the other.
 *
 * VMLADAVA multiplies 16 bytes by 16 others and adds all products to one even register, of which
 * there are eight. So either two pixels are multiplied with four channels at a time, which takes 14
 * instructions for 128 products, or a single row with eight, which takes 17.
 *
 * A stream of weights has, for each block of four (a row: eight) channels, their biases, in which
 * the sums start, then for every 16 inputs a vector of weights for each channel. The input's zero
 * point is folded into the bias; weights beyond the depth are 0, so that it does not matter what is
 * read there. Channels come in groups of eight, the even ones first, as that is how two vectors of
 * sums become one of 16 bit lanes; of a last group, no more than four are a block by themselves in
 * plain order. tinyml_sdk/ops/mve/matrix.py writes all of it.
 */
#ifndef TINYML_MVE_MATRIX_H
#define TINYML_MVE_MATRIX_H

#include <stddef.h>

#include "tinyml_mve_outputs.h"

/* Channels whose sums are kept until they become outputs. */
#define TINYML_MVE_PAIR_CHANNELS 64
#define TINYML_MVE_ROW_CHANNELS 32

typedef struct tinyml_mve_job tinyml_mve_job;

/* Multiplies pixels with all channels, two at a time and the second `distance` bytes behind the
 * first, or a row by itself. Where the distance is 0, that is a pixel without a partner. More than
 * one pair only where TINYML_MVE_PAIR_CHANNELS are enough. pairs > 0. */
typedef void tinyml_mve_multiply(const tinyml_mve_job *job, const int8_t *input, int32_t distance,
                                 int8_t *output, int32_t pairs);

/* One layer's, literal. */
typedef struct {
  int32_t steps; /* vectors of inputs */
  int32_t channels;
  int32_t scale_step; /* 8; 0 where one multiplier and shift, eight times, serve all channels */
  tinyml_requantization output;
  tinyml_mve_multiply *multiply; /* tinyml_mve_pair_… or tinyml_mve_row_… */
} tinyml_mve_matrix;

/* What all products of a layer are given. */
struct tinyml_mve_job {
  const tinyml_mve_matrix *matrix;
  const int8_t *weights;
  const int32_t *multiplier; /* in the order of the sums */
  const int8_t *shift;
  int32_t *sums; /* for TINYML_MVE_PAIR_CHANNELS or TINYML_MVE_ROW_CHANNELS */
};

/* -- sums of products -------------------------------------------------------------------------- */

/* What assembler is given. It works on a copy of it, on the stack. */
typedef struct {
  const int8_t *input0;
  const int8_t *input1;
  int32_t first_steps; /* of the loop's first turn: steps % 4 */
  const int8_t *input0_end;
  const int8_t *weights;
  const int8_t *weights_end;
  int32_t *sums;
} tinyml_mve_dot;

#if TINYML_HAS_MVE

#define TINYML_MVE_CLOBBERS "r0", "r1", "r2", "r3", "r12", "q0", "q1", "q2", "q3", "cc", "memory"

/* Two pixels (r3 and r5) x channels, four at a time (r1): sums in r0 to r6 and r8 to lr. Four steps
 * a turn, of 56 bytes each; the first turn enters at step r7, steps % 4. For each block of
 * channels, sums[0 to 3] are the first pixel's and sums[4 to 7] the second's. A tinyml_mve_dot is
 * at sp. */
#define TINYML_MVE_DOT_2X4                                                                         \
  "ldr r11, [sp, #12]\n"                                                                           \
  "ldr r1, [sp, #16]\n"                                                                            \
  "ldr r9, [sp, #24]\n"                                                                            \
  "1:\n"                                                                                           \
  "ldm r1, {r0, r2, r4, r6}\n"                                                                     \
  "ldm r1!, {r8, r10, r12, lr}\n"                                                                  \
  "ldm sp, {r3, r5, r7}\n"                                                                         \
  "tbb [pc, r7]\n"                                                                                 \
  ".byte 2, 86, 58, 30\n"                                                                          \
  "2:\n"                                                                                           \
  ".rept 4\n"                                                                                      \
  "vldrb.8 q0, [r3], #16\n"                                                                        \
  "vldrb.8 q1, [r5], #16\n"                                                                        \
  "vldrb.8 q2, [r1], #16\n"                                                                        \
  "vmladava.s8 r0, q0, q2\n"                                                                       \
  "vmladava.s8 r8, q1, q2\n"                                                                       \
  "vldrb.8 q3, [r1], #16\n"                                                                        \
  "vmladava.s8 r2, q0, q3\n"                                                                       \
  "vmladava.s8 r10, q1, q3\n"                                                                      \
  "vldrb.8 q2, [r1], #16\n"                                                                        \
  "vmladava.s8 r4, q0, q2\n"                                                                       \
  "vmladava.s8 r12, q1, q2\n"                                                                      \
  "vldrb.8 q3, [r1], #16\n"                                                                        \
  "vmladava.s8 r6, q0, q3\n"                                                                       \
  "vmladava.s8 lr, q1, q3\n"                                                                       \
  ".endr\n"                                                                                        \
  "cmp r3, r11\n"                                                                                  \
  "bne.w 2b\n"                                                                                     \
  "stm r9!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"                                                  \
  "ldr r7, [sp, #20]\n"                                                                            \
  "cmp r1, r7\n"                                                                                   \
  "bne.w 1b\n"

/* The sums alone. */
TINYML_NAKED void tinyml_mve_dot_2x4(const tinyml_mve_dot *d TINYML_UNUSED) {
  __asm__ volatile("push {r4-r11, lr}\n"
                   "ldm r0, {r3-r9}\n"
                   "push {r3-r9}\n" TINYML_MVE_DOT_2X4 "add sp, #28\n"
                   "pop {r4-r11, pc}\n" ::
                       : TINYML_MVE_CLOBBERS);
}

/* One row x eight channels: 68 bytes a step. For each block, sums[0 to 7]. */
TINYML_NAKED void tinyml_mve_dot_1x8(const tinyml_mve_dot *d TINYML_UNUSED) {
  __asm__ volatile(".macro tinyml_two_channels a, b\n"
                   "vldrb.8 q1, [r1], #16\n"
                   "vmladava.s8 \\a, q0, q1\n"
                   "vldrb.8 q2, [r1], #16\n"
                   "vmladava.s8 \\b, q0, q2\n"
                   ".endm\n"
                   "push {r4-r11, lr}\n"
                   "ldm r0, {r3-r9}\n"
                   "push {r3-r9}\n"
                   "ldr r11, [sp, #12]\n"
                   "ldr r1, [sp, #16]\n"
                   "1:\n"
                   "ldm r1!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
                   "ldm sp, {r3, r5, r7}\n"
                   "tbb [pc, r7]\n"
                   ".byte 2, 104, 70, 36\n"
                   "2:\n"
                   ".rept 4\n"
                   "vldrb.8 q0, [r3], #16\n"
                   "tinyml_two_channels r0, r2\n"
                   "tinyml_two_channels r4, r6\n"
                   "tinyml_two_channels r8, r10\n"
                   "tinyml_two_channels r12, lr\n"
                   ".endr\n"
                   "cmp r3, r11\n"
                   "bne.w 2b\n"
                   "stm r9!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
                   "ldr r7, [sp, #20]\n"
                   "cmp r1, r7\n"
                   "bne.w 1b\n"
                   "add sp, #28\n"
                   "pop {r4-r11, pc}\n"
                   ".purgem tinyml_two_channels\n" ::
                       : TINYML_MVE_CLOBBERS);
}

#else

/* What the assembler does, for two pixels x four channels and for one x eight. */
TINYML_INLINE void tinyml_mve_dot_c(const tinyml_mve_dot *d, int32_t pixels, int32_t block) {
  const int32_t depth = (int32_t)(d->input0_end - d->input0);
  const int8_t *const inputs[2] = {d->input0, d->input1};
  int32_t *sums = d->sums;
  for (const int8_t *weights = d->weights; weights != d->weights_end;) {
    for (int32_t i = 0; i < 8; ++i) {
      const int8_t *input = inputs[i / block % pixels];
      const int8_t *channel = weights + 4 * block + TINYML_VECTOR * (i % block);
      int32_t sum;
      __builtin_memcpy(&sum, weights + 4 * (i % block), sizeof sum);
      for (int32_t k = 0; k < depth; ++k) {
        sum += input[k] * channel[k / TINYML_VECTOR * TINYML_VECTOR * block + k % TINYML_VECTOR];
      }
      *sums++ = sum;
    }
    weights += block * (4 + depth);
  }
}

TINYML_SHARED void tinyml_mve_dot_2x4(const tinyml_mve_dot *d) {
  tinyml_mve_dot_c(d, 2, 4);
}

TINYML_SHARED void tinyml_mve_dot_1x8(const tinyml_mve_dot *d) {
  tinyml_mve_dot_c(d, 1, 8);
}

#endif

/* -- from sums to outputs ---------------------------------------------------------------------- */

/* Some channels of two pixels, or of one where `pixels` says so, whose outputs lie `distance`
 * apart. The sums of a block of four lie `pixels` x 4 apart. */
TINYML_INLINE void tinyml_mve_finish(int32_t form, const tinyml_mve_job *job, int32_t pixels,
                                     const int32_t *multiplier, const int8_t *shift, int32_t left,
                                     int8_t *output, int32_t distance) {
  const tinyml_requantization p = job->matrix->output;
  const int32_t scale_step = job->matrix->scale_step;
  const int32_t *sums = job->sums;
  for (; left > 4; left -= 8) {
    const tinyml_mve_scale even = tinyml_mve_load_scale(multiplier, shift);
    const tinyml_mve_scale odd = tinyml_mve_load_scale(multiplier + 4, shift + 4);
    const int32_t *odd_sums = sums + 4 * pixels;
    const tinyml_int16x8 first = tinyml_mve_outputs(form, p, tinyml_load_int32x4(sums), even,
                                                    tinyml_load_int32x4(odd_sums), odd);
    if (pixels == 2) {
      tinyml_store_pair_of_8(output, output + distance, first,
                             tinyml_mve_outputs(form, p, tinyml_load_int32x4(sums + 4), even,
                                                tinyml_load_int32x4(odd_sums + 4), odd),
                             left);
    } else {
      tinyml_store_first_of_8(output, first, left);
    }
    output += 8;
    sums += 8 * pixels;
    multiplier += scale_step;
    shift += scale_step;
  }
  if (left > 0) {
    const tinyml_mve_scale scale = tinyml_mve_load_scale(multiplier, shift);
    for (int32_t pixel = 0; pixel < pixels; ++pixel) {
      const tinyml_int32x4 last = tinyml_load_int32x4(sums + 4 * pixel);
      tinyml_store_first_of_4(output + pixel * distance,
                              tinyml_mve_outputs(form, p, last, scale, last, scale), left);
    }
  }
}

/* -- both -------------------------------------------------------------------------------------- */

#if TINYML_HAS_MVE

/* Pairs of pixels x all channels of a part. */
typedef struct {
  tinyml_mve_dot dot;
  const int32_t *multiplier;
  const int8_t *shift;
  int8_t *output0;
  int8_t *output1;
  int32_t channels;
  int32_t scale_step;
  int32_t zero_point;
  int32_t input_step; /* from a pair to the next */
  int32_t output_step;
  int32_t pairs;
} tinyml_mve_pairs;

/* tinyml_mve_rescale of q`x`, with multipliers and shifts. */
#define TINYML_MVE_RESCALE_CLAMPED(x, multiplier, shift)                                           \
  "vqrdmulh.s32 " x ", " x ", " multiplier "\n"                                                    \
  "vrshl.s32 " x ", " x ", " shift "\n"
#define TINYML_MVE_RESCALE_SIGNED(x, multiplier, shift)                                            \
  "vqrdmulh.s32 " x ", " x ", " multiplier "\n"                                                    \
  "vshr.s32 q7, " x ", #31\n"                                                                      \
  "vadd.i32 " x ", " x ", q7\n"                                                                    \
  "vrshl.s32 " x ", " x ", " shift "\n"

/* Eight channels of a pixel, in q`even`; their sums are at r0 + `first`. */
#define TINYML_MVE_EIGHT(RESCALE, even, odd, first, second)                                        \
  "vldrw.u32 " even ", [r0, #" first "]\n"                                                         \
  "vldrw.u32 " odd ", [r0, #" second "]\n" RESCALE(even, "q0", "q2")                               \
      RESCALE(odd, "q1", "q3") "vqmovnb.s32 " even ", " even "\n"                                  \
                               "vqmovnt.s32 " even ", " odd "\n"                                   \
                               "vqadd.s16 " even ", " even ", r7\n"                                \
                               "vqmovnb.s16 " even ", " even "\n"

/* The last four. */
#define TINYML_MVE_FOUR(RESCALE, x, first)                                                         \
  "vldrw.u32 " x ", [r0, #" first "]\n" RESCALE(x, "q0", "q2") "vqmovnb.s32 " x ", " x "\n"        \
                                                               "vqadd.s16 " x ", " x ", r7\n"      \
                                                               "vqmovnb.s16 " x ", " x "\n"

/* What tinyml_mve_multiply_parts does. A copy of *p lies at sp. */
#define TINYML_MVE_PAIRS(NAME, RESCALE)                                                            \
  TINYML_NAKED void NAME(const tinyml_mve_pairs *p TINYML_UNUSED) {                                \
    __asm__ volatile(                                                                              \
        "push {r4-r11, lr}\n"                                                                      \
        "vpush {d8-d15}\n"                                                                         \
        "add r2, r0, #32\n"                                                                        \
        "ldm r2, {r3-r11}\n"                                                                       \
        "push {r3-r11}\n"                                                                          \
        "ldm r0, {r3-r10}\n"                                                                       \
        "push {r3-r10}\n"                                                                          \
        "0:\n" TINYML_MVE_DOT_2X4 "ldr r0, [sp, #24]\n" /* the sums */                             \
        "ldrd r1, r2, [sp, #28]\n"                      /* multiplier and shift */                 \
        "ldrd r3, r4, [sp, #36]\n"                      /* outputs */                              \
        "ldrd r5, r6, [sp, #44]\n"                      /* channels and scale_step */              \
        "ldr r7, [sp, #52]\n"                           /* zero_point */                           \
        "lsl r8, r6, #2\n"                                                                         \
        "cmp r5, #4\n"                                                                             \
        "ble 4f\n"                                                                                 \
        "3:\n"                                                                                     \
        "vldrw.u32 q0, [r1]\n"                                                                     \
        "vldrw.u32 q1, [r1, #16]\n"                                                                \
        "vldrb.s32 q2, [r2]\n"                                                                     \
        "vldrb.s32 q3, [r2, #4]\n" TINYML_MVE_EIGHT(RESCALE, "q4", "q5", "0", "32")                \
            TINYML_MVE_EIGHT(                                                                      \
                RESCALE, "q5", "q6", "16",                                                         \
                "48") "vctp.16 r5\n"                                                               \
                      "vpstt\n"                                                                    \
                      "vstrbt.16 q4, [r3], #8\n"                                                   \
                      "vstrbt.16 q5, [r4], #8\n"                                                   \
                      "add r0, #64\n"                                                              \
                      "add r1, r1, r8\n"                                                           \
                      "add r2, r2, r6\n"                                                           \
                      "subs r5, #8\n"                                                              \
                      "cmp r5, #4\n"                                                               \
                      "bgt 3b\n"                                                                   \
                      "4:\n"                                                                       \
                      "cmp r5, #0\n"                                                               \
                      "ble 5f\n"                                                                   \
                      "vldrw.u32 q0, [r1]\n"                                                       \
                      "vldrb.s32 q2, [r2]\n" TINYML_MVE_FOUR(RESCALE, "q4", "0") TINYML_MVE_FOUR(  \
                          RESCALE, "q5", "16") "vctp.32 r5\n"                                      \
                                               "vpstt\n"                                           \
                                               "vstrbt.32 q4, [r3]\n"                              \
                                               "vstrbt.32 q5, [r4]\n"                              \
                                               "5:\n"                                              \
                                               "ldrd r0, r1, [sp, #56]\n" /* to the next pair */   \
                                               "ldrd r3, r5, [sp, #0]\n"                           \
                                               "add r3, r3, r0\n"                                  \
                                               "add r5, r5, r0\n"                                  \
                                               "strd r3, r5, [sp, #0]\n"                           \
                                               "ldr r3, [sp, #12]\n"                               \
                                               "add r3, r3, r0\n"                                  \
                                               "str r3, [sp, #12]\n"                               \
                                               "ldrd r3, r4, [sp, #36]\n"                          \
                                               "add r3, r3, r1\n"                                  \
                                               "add r4, r4, r1\n"                                  \
                                               "strd r3, r4, [sp, #36]\n"                          \
                                               "ldr r0, [sp, #64]\n"                               \
                                               "subs r0, #1\n"                                     \
                                               "str r0, [sp, #64]\n"                               \
                                               "bne.w 0b\n"                                        \
                                               "add sp, #68\n"                                     \
                                               "vpop {d8-d15}\n"                                   \
                                               "pop {r4-r11, pc}\n" ::                             \
                                                   : TINYML_MVE_CLOBBERS);                         \
  }

TINYML_MVE_PAIRS(tinyml_mve_pairs_clamped, TINYML_MVE_RESCALE_CLAMPED)
TINYML_MVE_PAIRS(tinyml_mve_pairs_signed, TINYML_MVE_RESCALE_SIGNED)

/* pairs > 0; more than one only where all channels are one part. */
TINYML_INLINE void tinyml_mve_multiply_pairs(void (*function)(const tinyml_mve_pairs *),
                                             const tinyml_mve_job *job, const int8_t *input,
                                             int32_t distance, int8_t *output, int32_t pairs) {
  const tinyml_mve_matrix *m = job->matrix;
  const int32_t output_distance = distance == 0 ? 0 : m->channels;
  tinyml_mve_pairs p;
  p.dot.input0 = input;
  p.dot.input1 = input + distance;
  p.dot.first_steps = m->steps % 4;
  p.dot.input0_end = input + TINYML_VECTOR * m->steps;
  p.dot.weights_end = job->weights;
  p.dot.sums = job->sums;
  p.multiplier = job->multiplier;
  p.shift = job->shift;
  p.output0 = output;
  p.output1 = output + output_distance;
  p.scale_step = m->scale_step;
  p.zero_point = m->output.output_zero_point;
  p.input_step = 2 * distance;
  p.output_step = 2 * output_distance;
  p.pairs = pairs;
  for (int32_t left = m->channels; left > 0; left -= TINYML_MVE_PAIR_CHANNELS) {
    p.channels = tinyml_min(left, TINYML_MVE_PAIR_CHANNELS);
    p.dot.weights = p.dot.weights_end;
    p.dot.weights_end += (p.channels + 3) / 4 * 4 * (4 + TINYML_VECTOR * m->steps);
    function(&p);
    p.multiplier += TINYML_MVE_PAIR_CHANNELS / 8 * m->scale_step;
    p.shift += TINYML_MVE_PAIR_CHANNELS / 8 * m->scale_step;
    p.output0 += TINYML_MVE_PAIR_CHANNELS;
    p.output1 += TINYML_MVE_PAIR_CHANNELS;
  }
}

#endif

/* All channels of two pixels, or of one, part by part. */
TINYML_INLINE void tinyml_mve_multiply_parts(int32_t form, int32_t pixels,
                                             const tinyml_mve_job *job, tinyml_mve_dot *dot,
                                             int8_t *output, int32_t distance) {
  const tinyml_mve_matrix *m = job->matrix;
  const int32_t part = pixels == 2 ? TINYML_MVE_PAIR_CHANNELS : TINYML_MVE_ROW_CHANNELS;
  const int32_t block = 8 / pixels;
  const int32_t *multiplier = job->multiplier;
  const int8_t *shift = job->shift;
  dot->weights_end = job->weights;
  for (int32_t left = m->channels; left > 0; left -= part) {
    const int32_t count = tinyml_min(left, part);
    dot->weights = dot->weights_end;
    dot->weights_end += (count + block - 1) / block * block * (4 + TINYML_VECTOR * m->steps);
    if (pixels == 2) {
      tinyml_mve_dot_2x4(dot);
    } else {
      tinyml_mve_dot_1x8(dot);
    }
    tinyml_mve_finish(form, job, pixels, multiplier, shift, count, output, distance);
    multiplier += part / 8 * m->scale_step;
    shift += part / 8 * m->scale_step;
    output += part;
  }
}

TINYML_INLINE void tinyml_mve_multiply_all(int32_t form, int32_t pixels, const tinyml_mve_job *job,
                                           const int8_t *input, int32_t distance, int8_t *output,
                                           int32_t pairs) {
  const tinyml_mve_matrix *m = job->matrix;
  const int32_t channels = distance == 0 ? 0 : m->channels;
  tinyml_mve_dot dot = {.first_steps = m->steps % 4, .sums = job->sums};
  for (; pairs > 0; --pairs) {
    dot.input0 = input;
    dot.input1 = input + distance;
    dot.input0_end = input + TINYML_VECTOR * m->steps;
    tinyml_mve_multiply_parts(form, pixels, job, &dot, output, channels);
    input += 2 * distance;
    output += 2 * channels;
  }
}

#define TINYML_MVE_MULTIPLY(NAME, FORM, PIXELS)                                                    \
  TINYML_SHARED void NAME(const tinyml_mve_job *job, const int8_t *input, int32_t distance,        \
                          int8_t *output, int32_t pairs) {                                         \
    tinyml_mve_multiply_all(FORM, PIXELS, job, input, distance, output, pairs);                    \
  }

TINYML_MVE_MULTIPLY(tinyml_mve_pair_general, TINYML_MVE_GENERAL, 2)
TINYML_MVE_MULTIPLY(tinyml_mve_row_clamped, TINYML_MVE_CLAMPED, 1)
TINYML_MVE_MULTIPLY(tinyml_mve_row_signed, TINYML_MVE_SIGNED, 1)
TINYML_MVE_MULTIPLY(tinyml_mve_row_general, TINYML_MVE_GENERAL, 1)

#if TINYML_HAS_MVE
TINYML_SHARED void tinyml_mve_pair_clamped(const tinyml_mve_job *job, const int8_t *input,
                                           int32_t distance, int8_t *output, int32_t pairs) {
  tinyml_mve_multiply_pairs(tinyml_mve_pairs_clamped, job, input, distance, output, pairs);
}

TINYML_SHARED void tinyml_mve_pair_signed(const tinyml_mve_job *job, const int8_t *input,
                                          int32_t distance, int8_t *output, int32_t pairs) {
  tinyml_mve_multiply_pairs(tinyml_mve_pairs_signed, job, input, distance, output, pairs);
}
#else
TINYML_MVE_MULTIPLY(tinyml_mve_pair_clamped, TINYML_MVE_CLAMPED, 2)
TINYML_MVE_MULTIPLY(tinyml_mve_pair_signed, TINYML_MVE_SIGNED, 2)
#endif

#endif
