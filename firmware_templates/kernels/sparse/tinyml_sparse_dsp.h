/* Products of a packed tile with lists of weights (tinyml_sparse.h), for cores with the DSP
 * extension.
 *
 * A row of the tile has words with two pixels each. SMLAL of such a word and a weight adds
 * 2^23 * S1 + S0 to a sum of 64 bits, so every instruction multiplies two. The host has checked
 * that S0 stays within 23 bits.
 */
#ifndef TINYML_SPARSE_DSP_H
#define TINYML_SPARSE_DSP_H

#include <stddef.h>

#include "../dsp/tinyml_dsp_matrix.h"
#include "tinyml_sparse.h"

typedef struct tinyml_sparse_job tinyml_sparse_job;

/* What becomes of the sums of a channel, one for each pixel. */
typedef void tinyml_sparse_finish(const tinyml_sparse_job *job, const int32_t *sums);

/* Some channels of all pixels of a tile. */
struct tinyml_sparse_job {
  const int8_t *tile;
  const uint8_t *lists;
  const int32_t *bias;
  const int32_t *scale;
  const int8_t *shift;
  const int8_t *codebook;
  int32_t codebook_step; /* to that of the next channel */
  int8_t *output;        /* of the first pixel */
  int32_t output_step;   /* to the next pixel */
  int32_t channels;      /* at least one */
  tinyml_sparse_finish *finish;
};

/* Does it; returns the end of the last list. */
typedef const uint8_t *tinyml_sparse_lists(const tinyml_sparse_job *job);

#if TINYML_HAS_DSP

/* -- from sums to outputs ---------------------------------------------------------------------- */

/* The lists' functions keep the job on the stack, above a codebook and the end of the list. */
#define TINYML_JOB_LIST_END "16"
#define TINYML_JOB_TILE "20"
#define TINYML_JOB_LISTS "24"
#define TINYML_JOB_BIAS "28"
#define TINYML_JOB_SCALE "32"
#define TINYML_JOB_CODEBOOK "40"
#define TINYML_JOB_OUTPUT "48"
#define TINYML_JOB_CHANNELS "56"
#define TINYML_JOB_FINISH "60"

/* One sum; the shift is in r1, multiplier and offset in r2 and r3, the offset's lower bits in r0.
 */
#define TINYML_FINISH_ONE_CLAMPED(sum)                                                             \
  "lsl " sum ", " sum ", r1\n"                                                                     \
  "smmla " sum ", " sum ", r2, r3\n"                                                               \
  "ssat " sum ", #8, " sum ", asr #15\n"

#define TINYML_FINISH_ONE_SIGNED(sum)                                                              \
  "lsl " sum ", " sum ", r1\n"                                                                     \
  "and r12, r0, " sum ", asr #31\n"                                                                \
  "sub r12, r3, r12, lsl #1\n"                                                                     \
  "smmla " sum ", " sum ", r2, r12\n"                                                              \
  "ssat " sum ", #8, " sum ", asr #15\n"

#define TINYML_FINISH_FOUR(one) one("r4") one("r5") one("r6") one("r7")
#define TINYML_FINISH_EIGHT(one) TINYML_FINISH_FOUR(one) one("r8") one("r9") one("r10") one("r11")

#define TINYML_STORE_PAIR(a, b)                                                                    \
  "strb " a ", [r0]\n"                                                                             \
  "strb " b ", [r0, r12]\n"                                                                        \
  "add r0, r0, r12, lsl #1\n"
#define TINYML_STORE_FOUR TINYML_STORE_PAIR("r4", "r5") TINYML_STORE_PAIR("r6", "r7")
#define TINYML_STORE_EIGHT                                                                         \
  TINYML_STORE_FOUR TINYML_STORE_PAIR("r8", "r9") TINYML_STORE_PAIR("r10", "r11")

/* Not called by C: the sums are in r4 to r11. */
#define TINYML_SPARSE_FINISH(name, form, count, all, store)                                        \
  TINYML_NAKED void tinyml_sparse_finish_##name(const tinyml_sparse_job *job TINYML_UNUSED,        \
                                                const int32_t *sums TINYML_UNUSED) {               \
    __asm__ volatile("ldrd r0, r12, [sp, #" TINYML_JOB_SCALE "]\n"                                 \
                     "ldrd r2, r3, [r0], #8\n"                                                     \
                     "ldrsb r1, [r12], #1\n"                                                       \
                     "strd r0, r12, [sp, #" TINYML_JOB_SCALE "]\n"                                 \
                     "ubfx r0, r3, #0, #14\n" all "ldrd r0, r12, [sp, #" TINYML_JOB_OUTPUT "]\n"   \
                     "add r1, r0, #1\n"                                                            \
                     "str r1, [sp, #" TINYML_JOB_OUTPUT "]\n" store "bx lr\n" ::                   \
                         : TINYML_CLOBBERS);                                                       \
  }

TINYML_NAKED void tinyml_sparse_finish_sums(const tinyml_sparse_job *job TINYML_UNUSED,
                                            const int32_t *sums TINYML_UNUSED) {
  __asm__ volatile("ldr r0, [sp, #" TINYML_JOB_OUTPUT "]\n"
                   "stmia r0, {r4-r11}\n"
                   "bx lr\n" ::
                       : TINYML_CLOBBERS);
}

/* -- sums -------------------------------------------------------------------------------------- */

/* r4 to r11 hold up to four sums of 64 bits, r12 and lr two words of inputs, r3 the weight. */
#define TINYML_TIMES_8(address0, address1)                                                         \
  "ldrd r12, lr, " address0 "\n"                                                                   \
  "smlal r4, r5, r12, r3\n"                                                                        \
  "smlal r6, r7, lr, r3\n"                                                                         \
  "ldrd r12, lr, " address1 "\n"                                                                   \
  "smlal r8, r9, r12, r3\n"                                                                        \
  "smlal r10, r11, lr, r3\n"

#define TINYML_TIMES_4(address)                                                                    \
  "ldrd r12, lr, " address "\n"                                                                    \
  "smlal r4, r5, r12, r3\n"                                                                        \
  "smlal r6, r7, lr, r3\n"

/* Steps. low, high: how a gap becomes bytes of the tile, where it is the low or the high half of
 * its byte. */
#define TINYML_STEP_GAPS(low, high, times)                                                         \
  "ldrb r2, [r1], #1\n"                                                                            \
  "and r3, r2, #0x0f\n"                                                                            \
  "add r0, r0, r3" low "\n"                                                                        \
  "ldrsb r3, [r1], #1\n" times "and r2, r2, #0xf0\n"                                               \
  "add r0, r0, r2" high "\n"                                                                       \
  "ldrsb r3, [r1], #1\n" times

#define TINYML_STEP_CODED_GAP(high, times)                                                         \
  "ldrb r2, [r1], #1\n"                                                                            \
  "and r3, r2, #0xf0\n"                                                                            \
  "add r0, r0, r3" high "\n"                                                                       \
  "and r2, r2, #0x0f\n"                                                                            \
  "ldrsb r3, [sp, r2]\n" times

#define TINYML_STEP_BLOCK(gap, times0, times1, times2, times3)                                     \
  "ldrb r2, [r1], #1\n"                                                                            \
  "add r0, r0, r2" gap "\n"                                                                        \
  "ldrsb r3, [r1], #1\n" times0 "ldrsb r3, [r1], #1\n" times1 "ldrsb r3, [r1], #1\n" times2        \
  "ldrsb r3, [r1], #1\n" times3

#define TINYML_STEP_CODES(times)                                                                   \
  "ldrb r2, [r1], #1\n"                                                                            \
  "and r3, r2, #0x0f\n"                                                                            \
  "ldrsb r3, [sp, r3]\n" times "lsr r2, r2, #4\n"                                                  \
  "ldrsb r3, [sp, r2]\n" times

/* From the number of steps in r12 to the end of the list in r3. */
#define TINYML_END_OF_1 "add r3, r1, r12\n"
#define TINYML_END_OF_3                                                                            \
  "add r3, r1, r12\n"                                                                              \
  "add r3, r3, r12, lsl #1\n"
#define TINYML_END_OF_5                                                                            \
  "add r3, r1, r12\n"                                                                              \
  "add r3, r3, r12, lsl #2\n"

/* The codebook is copied to where sp points, as no other register is free for its address. */
#define TINYML_COPY_CODEBOOK                                                                       \
  "ldrd r0, lr, [sp, #" TINYML_JOB_CODEBOOK "]\n"                                                  \
  "ldr r4, [r0]\n"                                                                                 \
  "ldr r5, [r0, #4]\n"                                                                             \
  "ldr r6, [r0, #8]\n"                                                                             \
  "ldr r7, [r0, #12]\n"                                                                            \
  "add r0, r0, lr\n"                                                                               \
  "str r0, [sp, #" TINYML_JOB_CODEBOOK "]\n"                                                       \
  "stmia sp, {r4-r7}\n"

#define TINYML_COPY_SUM(low, high)                                                                 \
  "mov " low ", r4\n"                                                                              \
  "mov " high ", r5\n"

#define TINYML_SPLIT_SUM(low, high)                                                                \
  "lsl " high ", " high ", #9\n"                                                                   \
  "orr " high ", " high ", " low ", lsr #23\n"                                                     \
  "ubfx " low ", " low ", #0, #23\n"                                                               \
  "sub " low ", " low ", #0x400000\n"

/* All four sums of 64 bits, or two. */
#define TINYML_SUMS_8(of) of("r6", "r7") of("r8", "r9") of("r10", "r11")
#define TINYML_SUMS_4(of) of("r6", "r7")

/* These take all registers, as in tinyml_dsp_sums.h. Sums begin as 2^23 * bias + bias, and 2^22
 * more, with which the first pixel's part is never negative. Two steps a turn; an odd number of
 * them enters at the second. */
#define TINYML_SPARSE_LISTS(name, format, words, list_end, copy_codebook, sums, step)              \
  TINYML_NAKED const uint8_t *tinyml_sparse_##name(const tinyml_sparse_job *job TINYML_UNUSED) {   \
    __asm__ volatile("push {r4-r11, lr}\n"                                                         \
                     "sub sp, #64\n"                                                               \
                     "ldmia r0, {r1-r11}\n"                                                        \
                     "add r0, sp, #" TINYML_JOB_TILE "\n"                                          \
                     "stmia r0, {r1-r11}\n"                                                        \
                     "0:\n"                                                                        \
                     "ldrd r1, r0, [sp, #" TINYML_JOB_LISTS "]\n"                                  \
                     "ldrh r12, [r1], #2\n"                                                        \
                     "ldr r2, [r0], #4\n"                                                          \
                     "str r0, [sp, #" TINYML_JOB_BIAS "]\n" list_end                               \
                     "str r3, [sp, #" TINYML_JOB_LIST_END "]\n" copy_codebook                      \
                     "ldr r0, [sp, #" TINYML_JOB_TILE "]\n"                                        \
                     "asr r5, r2, #9\n"                                                            \
                     "adds r4, r2, r2, lsl #23\n"                                                  \
                     "adc r5, r5, r2, asr #31\n"                                                   \
                     "adds r4, r4, #0x400000\n"                                                    \
                     "adc r5, r5, #0\n" sums(TINYML_COPY_SUM) /* */                                \
                     "lsrs r12, r12, #1\n"                                                         \
                     "bcs.w 2f\n"                                                                  \
                     "beq.w 3f\n"                                                                  \
                     "1:\n" step "2:\n" step "ldr r2, [sp, #" TINYML_JOB_LIST_END "]\n"            \
                     "cmp r1, r2\n"                                                                \
                     "bne.w 1b\n"                                                                  \
                     "3:\n" TINYML_SPLIT_SUM("r4", "r5") /* */                                     \
                     sums(TINYML_SPLIT_SUM)              /* */                                     \
                     "str r1, [sp, #" TINYML_JOB_LISTS "]\n"                                       \
                     "ldr r3, [sp, #" TINYML_JOB_FINISH "]\n"                                      \
                     "blx r3\n"                                                                    \
                     "ldr r2, [sp, #" TINYML_JOB_CHANNELS "]\n"                                    \
                     "subs r2, #1\n"                                                               \
                     "str r2, [sp, #" TINYML_JOB_CHANNELS "]\n"                                    \
                     "bne.w 0b\n"                                                                  \
                     "ldr r0, [sp, #" TINYML_JOB_LISTS "]\n"                                       \
                     "add sp, #64\n"                                                               \
                     "pop {r4-r11, pc}\n" ::                                                       \
                         : TINYML_CLOBBERS);                                                       \
  }

#else

#define TINYML_SPARSE_FINISH(name, form, count, all, store)                                        \
  TINYML_SHARED void tinyml_sparse_finish_##name(const tinyml_sparse_job *job,                     \
                                                 const int32_t *sums) {                            \
    const tinyml_dsp_scales scales = {job->scale, job->shift};                                     \
    for (int32_t i = 0; i < (count); ++i) {                                                        \
      job->output[i * job->output_step] = tinyml_dsp_requantize(form, NULL, scales, 0, sums[i]);   \
    }                                                                                              \
  }

TINYML_SHARED void tinyml_sparse_finish_sums(const tinyml_sparse_job *job, const int32_t *sums) {
  __builtin_memcpy(job->output, sums, 8 * sizeof *sums);
}

TINYML_INLINE const uint8_t *tinyml_sparse_lists_in_c(int32_t format, int32_t words,
                                                      tinyml_sparse_job job) {
  for (; job.channels > 0; --job.channels) {
    int32_t sums[8] = {0};
    tinyml_sparse_sums s;
    s.pixels = 2 * words;
    s.packed = 1;
    s.row = job.tile;
    for (int32_t i = 0; i < words; ++i) {
      s.pairs[i] = (uint64_t)((int64_t)*job.bias * ((1 << 23) + 1) + (1 << 22));
    }
    job.lists = tinyml_sparse_walk(format, job.lists, job.codebook, &s);
    for (int32_t i = 0; i < words; ++i) {
      sums[2 * i] = (int32_t)(s.pairs[i] & 0x7fffffu) - (1 << 22);
      sums[2 * i + 1] = (int32_t)(uint32_t)(s.pairs[i] >> 23);
    }
    job.finish(&job, sums);
    ++job.bias;
    job.scale += 2;
    ++job.shift;
    job.codebook += job.codebook_step;
    ++job.output;
  }
  return job.lists;
}

#define TINYML_SPARSE_LISTS(name, format, words, list_end, copy_codebook, sums, step)              \
  TINYML_SHARED const uint8_t *tinyml_sparse_##name(const tinyml_sparse_job *job) {                \
    return tinyml_sparse_lists_in_c(format, words, *job);                                          \
  }

#endif

TINYML_SPARSE_FINISH(clamped_8, TINYML_FORM_CLAMPED, 8,
                     TINYML_FINISH_EIGHT(TINYML_FINISH_ONE_CLAMPED), TINYML_STORE_EIGHT)
TINYML_SPARSE_FINISH(clamped_4, TINYML_FORM_CLAMPED, 4,
                     TINYML_FINISH_FOUR(TINYML_FINISH_ONE_CLAMPED), TINYML_STORE_FOUR)
TINYML_SPARSE_FINISH(signed_8, TINYML_FORM_SIGNED, 8, TINYML_FINISH_EIGHT(TINYML_FINISH_ONE_SIGNED),
                     TINYML_STORE_EIGHT)
TINYML_SPARSE_FINISH(signed_4, TINYML_FORM_SIGNED, 4, TINYML_FINISH_FOUR(TINYML_FINISH_ONE_SIGNED),
                     TINYML_STORE_FOUR)

#define TINYML_ROW_8 TINYML_TIMES_8("[r0]", "[r0, #8]")
#define TINYML_ROW_4 TINYML_TIMES_4("[r0]")
#define TINYML_NEXT_ROW_8 TINYML_TIMES_8("[r0], #8", "[r0], #8")
#define TINYML_NEXT_ROW_4 TINYML_TIMES_4("[r0], #8")

/* Over tiles of eight pixels and of four. */
TINYML_SPARSE_LISTS(gaps_8, TINYML_LIST_GAPS, 4, TINYML_END_OF_3, "", TINYML_SUMS_8,
                    TINYML_STEP_GAPS(", lsl #4", "", TINYML_ROW_8))
TINYML_SPARSE_LISTS(gaps_4, TINYML_LIST_GAPS, 2, TINYML_END_OF_3, "", TINYML_SUMS_4,
                    TINYML_STEP_GAPS(", lsl #3", ", lsr #1", TINYML_ROW_4))
TINYML_SPARSE_LISTS(coded_gaps_8, TINYML_LIST_CODED_GAPS, 4, TINYML_END_OF_1, TINYML_COPY_CODEBOOK,
                    TINYML_SUMS_8, TINYML_STEP_CODED_GAP("", TINYML_ROW_8))
TINYML_SPARSE_LISTS(coded_gaps_4, TINYML_LIST_CODED_GAPS, 2, TINYML_END_OF_1, TINYML_COPY_CODEBOOK,
                    TINYML_SUMS_4, TINYML_STEP_CODED_GAP(", lsr #1", TINYML_ROW_4))
TINYML_SPARSE_LISTS(blocks_8, TINYML_LIST_BLOCKS, 4, TINYML_END_OF_5, "", TINYML_SUMS_8,
                    TINYML_STEP_BLOCK(", lsl #4", TINYML_ROW_8,
                                      TINYML_TIMES_8("[r0, #16]", "[r0, #24]"),
                                      TINYML_TIMES_8("[r0, #32]", "[r0, #40]"),
                                      TINYML_TIMES_8("[r0, #48]", "[r0, #56]")))
TINYML_SPARSE_LISTS(blocks_4, TINYML_LIST_BLOCKS, 2, TINYML_END_OF_5, "", TINYML_SUMS_4,
                    TINYML_STEP_BLOCK(", lsl #3", TINYML_ROW_4, TINYML_TIMES_4("[r0, #8]"),
                                      TINYML_TIMES_4("[r0, #16]"), TINYML_TIMES_4("[r0, #24]")))
TINYML_SPARSE_LISTS(codes_8, TINYML_LIST_CODES, 4, TINYML_END_OF_1, TINYML_COPY_CODEBOOK,
                    TINYML_SUMS_8, TINYML_STEP_CODES(TINYML_NEXT_ROW_8))
TINYML_SPARSE_LISTS(codes_4, TINYML_LIST_CODES, 2, TINYML_END_OF_1, TINYML_COPY_CODEBOOK,
                    TINYML_SUMS_4, TINYML_STEP_CODES(TINYML_NEXT_ROW_4))

/* -- packing ----------------------------------------------------------------------------------- */

/* What four pixels read, as two neighbouring words of each row of a tile. bytes: of each, > 0.
 * 7 instructions a row. */
#if TINYML_HAS_DSP
#define TINYML_SPARSE_PACK(pixels, row_bytes)                                                      \
  TINYML_NAKED void tinyml_sparse_pack_##pixels(int8_t *to TINYML_UNUSED,                          \
                                                const int8_t *const from[4] TINYML_UNUSED,         \
                                                int32_t bytes TINYML_UNUSED) {                     \
    __asm__ volatile(".macro tinyml_pack_row\n"                                                    \
                     "ldrsb r8, [r4], #1\n"                                                        \
                     "ldrsb r9, [r5], #1\n"                                                        \
                     "ldrsb r10, [r6], #1\n"                                                       \
                     "ldrsb r11, [r7], #1\n"                                                       \
                     "add r8, r8, r9, lsl #23\n"                                                   \
                     "add r10, r10, r11, lsl #23\n"                                                \
                     "strd r8, r10, [r0], #" row_bytes "\n"                                        \
                     ".endm\n"                                                                     \
                     "push {r4-r11, lr}\n"                                                         \
                     "ldmia r1, {r4-r7}\n"                                                         \
                     "add r2, r4, r2\n"                                                            \
                     "sub r3, r2, r4\n"                                                            \
                     "ands r3, r3, #3\n" /* odd rows first */                                      \
                     "beq.n 2f\n"                                                                  \
                     "1:\n"                                                                        \
                     "tinyml_pack_row\n"                                                           \
                     "subs r3, r3, #1\n"                                                           \
                     "bne.n 1b\n"                                                                  \
                     "cmp r4, r2\n"                                                                \
                     "beq.n 3f\n"                                                                  \
                     "2:\n"                                                                        \
                     "tinyml_pack_row\n"                                                           \
                     "tinyml_pack_row\n"                                                           \
                     "tinyml_pack_row\n"                                                           \
                     "tinyml_pack_row\n"                                                           \
                     "cmp r4, r2\n"                                                                \
                     "bne.n 2b\n"                                                                  \
                     "3:\n"                                                                        \
                     "pop {r4-r11, pc}\n"                                                          \
                     ".purgem tinyml_pack_row\n" ::                                                \
                         : TINYML_CLOBBERS);                                                       \
  }
#else
#define TINYML_SPARSE_PACK(pixels, row_bytes)                                                      \
  TINYML_SHARED void tinyml_sparse_pack_##pixels(int8_t *to, const int8_t *const from[4],          \
                                                 int32_t bytes) {                                  \
    for (int32_t i = 0; i < bytes; ++i) {                                                          \
      const int32_t pairs[2] = {from[0][i] + from[1][i] * (1 << 23),                               \
                                from[2][i] + from[3][i] * (1 << 23)};                              \
      __builtin_memcpy(to, pairs, sizeof pairs);                                                   \
      to += 2 * (pixels);                                                                          \
    }                                                                                              \
  }
#endif

TINYML_SPARSE_PACK(8, "16")
TINYML_SPARSE_PACK(4, "8")

#endif
