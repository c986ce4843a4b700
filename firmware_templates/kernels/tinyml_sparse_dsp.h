/* Sums over a packed tile (tinyml_sparse.h) for cores with the DSP extension.
 *
 * SMLAL of a word with two pixels and a weight adds 2^23 * S1 + S0 to a sum of 64 bits, so every
 * instruction multiplies two. The host has checked that S0 stays within 23 bits.
 */
#ifndef TINYML_SPARSE_DSP_H
#define TINYML_SPARSE_DSP_H

#include "tinyml_dsp.h"
#include "tinyml_sparse.h"

/* The sums of one channel, one for each pixel of the tile. Returns the end of its list. codebook:
 * the channel's, where weights have codes. */
typedef const uint8_t *tinyml_sparse_dot(const int8_t *tile, const uint8_t *list, int32_t bias,
                                         int32_t *sums, const int8_t *codebook);

#if TINYML_HAS_DSP

#define TINYML_SPARSE_CLOBBERS "r0", "r1", "r2", "r3", "r12", "cc", "memory"

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

/* Steps, each for a tile of either width. low, high: how a gap becomes bytes of the tile, where it
 * is the low or the high half of its byte. */
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
  "ldrsb r3, [r1], #1\n" times0                                                                    \
  "ldrsb r3, [r1], #1\n" times1                                                                    \
  "ldrsb r3, [r1], #1\n" times2                                                                    \
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

/* The codebook is copied to sp, as no other register is free to point to it. */
#define TINYML_PUSH_CODEBOOK                                                                       \
  "ldr r4, [lr]\n"                                                                                 \
  "ldr r5, [lr, #4]\n"                                                                             \
  "ldr r6, [lr, #8]\n"                                                                             \
  "ldr r7, [lr, #12]\n"                                                                            \
  "push {r4-r7}\n"
#define TINYML_DROP_CODEBOOK "add sp, #16\n"

#define TINYML_SPLIT_PAIR(low, high)                                                               \
  "lsl " high ", " high ", #9\n"                                                                   \
  "orr " high ", " high ", " low ", lsr #23\n"                                                     \
  "ubfx " low ", " low ", #0, #23\n"                                                               \
  "sub " low ", " low ", #0x400000\n"

/* These take all registers, as in tinyml_dsp_matrix.h. Sums begin as 2^23 * bias + bias, and 2^22
 * more, with which the first pixel's part is never negative. Two steps a turn; an odd number of
 * them enters at the second. At sp: the codebook, the end of the list, where the sums go. */
#define TINYML_SPARSE_DOT(name, format, words, list_end, push, drop, end_at, step)                 \
  TINYML_NAKED const uint8_t *tinyml_sparse_##name(                                                \
      const int8_t *tile TINYML_UNUSED, const uint8_t *list TINYML_UNUSED,                         \
      int32_t bias TINYML_UNUSED, int32_t *sums TINYML_UNUSED,                                     \
      const int8_t *codebook TINYML_UNUSED) {                                                      \
    __asm__ volatile("push {r3-r11, lr}\n"                                                         \
                     "ldr lr, [sp, #40]\n"                                                         \
                     "ldrh r12, [r1], #2\n" list_end "push {r3}\n" push "asr r5, r2, #9\n"         \
                     "adds r4, r2, r2, lsl #23\n"                                                  \
                     "adc r5, r5, r2, asr #31\n"                                                   \
                     "adds r4, r4, #0x400000\n"                                                    \
                     "adc r5, r5, #0\n"                                                            \
                     "mov r6, r4\n"                                                                \
                     "mov r7, r5\n"                                                                \
                     "mov r8, r4\n"                                                                \
                     "mov r9, r5\n"                                                                \
                     "mov r10, r4\n"                                                               \
                     "mov r11, r5\n"                                                               \
                     "lsrs r12, r12, #1\n"                                                         \
                     "bcs.w 2f\n"                                                                  \
                     "beq.w 3f\n"                                                                  \
                     "1:\n" step "2:\n" step "ldr r2, [sp, #" end_at "]\n"                         \
                     "cmp r1, r2\n"                                                                \
                     "bne.w 1b\n"                                                                  \
                     "3:\n" drop                                               /* */               \
                     TINYML_SPLIT_PAIR("r4", "r5")                             /* */               \
                     TINYML_SPLIT_PAIR("r6", "r7")                             /* */               \
                     TINYML_SPLIT_PAIR("r8", "r9")                             /* */               \
                     TINYML_SPLIT_PAIR("r10", "r11") "mov r0, r1\n"            /* */               \
                     "pop {r2, r3}\n"                                                              \
                     "stmia r3, {r4-r11}\n"                                                        \
                     "pop {r4-r11, pc}\n" ::                                                       \
                         : TINYML_SPARSE_CLOBBERS);                                                \
  }

#else

#define TINYML_SPARSE_DOT(name, format, words, list_end, push, drop, end_at, step)                 \
  TINYML_SHARED const uint8_t *tinyml_sparse_##name(const int8_t *tile, const uint8_t *list,       \
                                                    int32_t bias, int32_t *sums,                   \
                                                    const int8_t *codebook) {                      \
    return tinyml_sparse_dot_in_c(format, words, tile, list, bias, sums, codebook);                \
  }

TINYML_INLINE const uint8_t *tinyml_sparse_dot_in_c(int32_t format, int32_t words,
                                                    const int8_t *tile, const uint8_t *list,
                                                    int32_t bias, int32_t *sums,
                                                    const int8_t *codebook) {
  tinyml_sparse_sums s;
  s.pixels = 2 * words;
  s.packed = 1;
  s.row = tile;
  for (int32_t i = 0; i < words; ++i) {
    s.pairs[i] = (uint64_t)((int64_t)bias * ((1 << 23) + 1) + (1 << 22));
  }
  list = tinyml_sparse_walk(format, list, codebook, &s);
  for (int32_t i = 0; i < words; ++i) {
    sums[2 * i] = (int32_t)(s.pairs[i] & 0x7fffffu) - (1 << 22);
    sums[2 * i + 1] = (int32_t)(uint32_t)(s.pairs[i] >> 23);
  }
  return list;
}

#endif

#define TINYML_ROW_8 TINYML_TIMES_8("[r0]", "[r0, #8]")
#define TINYML_ROW_4 TINYML_TIMES_4("[r0]")
#define TINYML_NEXT_ROW_8 TINYML_TIMES_8("[r0], #8", "[r0], #8")
#define TINYML_NEXT_ROW_4 TINYML_TIMES_4("[r0], #8")

/* Tiles of eight and of four pixels; the latter leave two of the sums alone. */
TINYML_SPARSE_DOT(gaps_8, TINYML_LIST_GAPS, 4, TINYML_END_OF_3, "", "", "0",
                  TINYML_STEP_GAPS(", lsl #4", "", TINYML_ROW_8))
TINYML_SPARSE_DOT(gaps_4, TINYML_LIST_GAPS, 2, TINYML_END_OF_3, "", "", "0",
                  TINYML_STEP_GAPS(", lsl #3", ", lsr #1", TINYML_ROW_4))
TINYML_SPARSE_DOT(coded_gaps_8, TINYML_LIST_CODED_GAPS, 4, TINYML_END_OF_1, TINYML_PUSH_CODEBOOK,
                  TINYML_DROP_CODEBOOK, "16", TINYML_STEP_CODED_GAP("", TINYML_ROW_8))
TINYML_SPARSE_DOT(coded_gaps_4, TINYML_LIST_CODED_GAPS, 2, TINYML_END_OF_1, TINYML_PUSH_CODEBOOK,
                  TINYML_DROP_CODEBOOK, "16", TINYML_STEP_CODED_GAP(", lsr #1", TINYML_ROW_4))
TINYML_SPARSE_DOT(blocks_8, TINYML_LIST_BLOCKS, 4, TINYML_END_OF_5, "", "", "0",
                  TINYML_STEP_BLOCK(", lsl #4", TINYML_ROW_8,
                                    TINYML_TIMES_8("[r0, #16]", "[r0, #24]"),
                                    TINYML_TIMES_8("[r0, #32]", "[r0, #40]"),
                                    TINYML_TIMES_8("[r0, #48]", "[r0, #56]")))
TINYML_SPARSE_DOT(blocks_4, TINYML_LIST_BLOCKS, 2, TINYML_END_OF_5, "", "", "0",
                  TINYML_STEP_BLOCK(", lsl #3", TINYML_ROW_4, TINYML_TIMES_4("[r0, #8]"),
                                    TINYML_TIMES_4("[r0, #16]"), TINYML_TIMES_4("[r0, #24]")))
TINYML_SPARSE_DOT(codes_8, TINYML_LIST_CODES, 4, TINYML_END_OF_1, TINYML_PUSH_CODEBOOK,
                  TINYML_DROP_CODEBOOK, "16", TINYML_STEP_CODES(TINYML_NEXT_ROW_8))
TINYML_SPARSE_DOT(codes_4, TINYML_LIST_CODES, 2, TINYML_END_OF_1, TINYML_PUSH_CODEBOOK,
                  TINYML_DROP_CODEBOOK, "16", TINYML_STEP_CODES(TINYML_NEXT_ROW_4))

#endif
