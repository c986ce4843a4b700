/* Gathering for cores with the DSP extension: the inputs of two pixels, widened and in turns, as
 * the products of tinyml_dsp_matrix.h read them.
 */
#ifndef TINYML_DSP_GATHER_H
#define TINYML_DSP_GATHER_H

#include "tinyml_dsp.h"

/* Widens words of two pixels to where tinyml_dsp_blocks reads them: 8 instructions a word of both.
 * One run of words of each pixel, or several with `gap` bytes between them. quads, runs > 0. */
#if TINYML_HAS_DSP
/* A turn of two words, entered in its middle for an odd number. r12: quads. */
#define TINYML_WIDEN                                                                               \
  ".macro tinyml_widen_word\n"                                                                     \
  "ldr r4, [r1], #4\n"                                                                             \
  "ldr r5, [r2], #4\n"                                                                             \
  "sxtb16 r6, r4, ror #8\n"                                                                        \
  "sxtb16 r7, r5, ror #8\n"                                                                        \
  "sxtb16 r4, r4\n"                                                                                \
  "sxtb16 r5, r5\n"                                                                                \
  "stmia r0!, {r4-r7}\n"                                                                           \
  ".endm\n"                                                                                        \
  "lsrs r12, r3, #1\n"                                                                             \
  "bcc 1f\n"                                                                                       \
  "add r12, r12, #1\n"                                                                             \
  "b 2f\n"                                                                                         \
  "1:\n"                                                                                           \
  "tinyml_widen_word\n"                                                                            \
  "2:\n"                                                                                           \
  "tinyml_widen_word\n"                                                                            \
  "subs r12, r12, #1\n"                                                                            \
  "bne 1b\n"                                                                                       \
  ".purgem tinyml_widen_word\n"

TINYML_NAKED void tinyml_dsp_widen_runs(uint32_t *to TINYML_UNUSED,
                                        const int8_t *pixel0 TINYML_UNUSED,
                                        const int8_t *pixel1 TINYML_UNUSED,
                                        int32_t quads TINYML_UNUSED, int32_t runs TINYML_UNUSED,
                                        int32_t gap TINYML_UNUSED) {
  __asm__ volatile("push {r4-r9, lr}\n"
                   "ldrd r8, r9, [sp, #28]\n"
                   "0:\n" TINYML_WIDEN "add r1, r1, r9\n"
                   "add r2, r2, r9\n"
                   "subs r8, r8, #1\n"
                   "bne 0b\n"
                   "pop {r4-r9, pc}\n" ::
                       : "r0", "r1", "r2", "r3", "r12", "cc", "memory");
}

TINYML_NAKED void tinyml_dsp_widen_run(uint32_t *to TINYML_UNUSED,
                                       const int8_t *pixel0 TINYML_UNUSED,
                                       const int8_t *pixel1 TINYML_UNUSED,
                                       int32_t quads TINYML_UNUSED) {
  __asm__ volatile("push {r4-r7, lr}\n" TINYML_WIDEN "pop {r4-r7, pc}\n" ::
                       : "r0", "r1", "r2", "r3", "r12", "cc", "memory");
}
#else
TINYML_SHARED void tinyml_dsp_widen_runs(uint32_t *to, const int8_t *pixel0, const int8_t *pixel1,
                                         int32_t quads, int32_t runs, int32_t gap) {
  for (; runs > 0; --runs) {
    for (int32_t i = 0; i < quads; ++i) {
      const uint32_t word0 = tinyml_load_word(pixel0);
      const uint32_t word1 = tinyml_load_word(pixel1);
      *to++ = tinyml_sxtb16(word0);
      *to++ = tinyml_sxtb16(word1);
      *to++ = tinyml_sxtb16_odd(word0);
      *to++ = tinyml_sxtb16_odd(word1);
      pixel0 += 4;
      pixel1 += 4;
    }
    pixel0 += gap;
    pixel1 += gap;
  }
}

TINYML_INLINE void tinyml_dsp_widen_run(uint32_t *to, const int8_t *pixel0, const int8_t *pixel1,
                                        int32_t quads) {
  tinyml_dsp_widen_runs(to, pixel0, pixel1, quads, 1, 0);
}
#endif

/* A word of both. */
TINYML_INLINE void tinyml_dsp_widen_word(uint32_t *to, const int8_t *pixel0, const int8_t *pixel1) {
  const uint32_t word0 = tinyml_load_word(pixel0);
  const uint32_t word1 = tinyml_load_word(pixel1);
  to[0] = tinyml_sxtb16(word0);
  to[1] = tinyml_sxtb16(word1);
  to[2] = tinyml_sxtb16_odd(word0);
  to[3] = tinyml_sxtb16_odd(word1);
}

/* A single run, of any number of words. */
TINYML_INLINE void tinyml_dsp_widen(uint32_t *to, const int8_t *pixel0, const int8_t *pixel1,
                                    int32_t quads) {
  if (quads > 0) {
    tinyml_dsp_widen_run(to, pixel0, pixel1, quads);
  }
}

#endif
