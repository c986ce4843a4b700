/* The instructions of Arm's vector extension MVE (Helium; Cortex-M55 and up) that the fast kernels
 * are made of, each beside its exact meaning in portable C: the same kernels run, slowly, on any
 * machine, and are tested on the host under the compiler's sanitizers. Armv8-M Architecture
 * Reference Manual (Arm DDI 0553), C2.4.
 */
#ifndef TINYML_MVE_H
#define TINYML_MVE_H

#include "../dsp/tinyml_dsp.h"

#if defined(__ARM_FEATURE_MVE)
#define TINYML_HAS_MVE 1
#include <arm_mve.h>
typedef int32x4_t tinyml_int32x4;
typedef int16x8_t tinyml_int16x8;
typedef int8x16_t tinyml_int8x16;
#else
#define TINYML_HAS_MVE 0
typedef struct {
  int32_t lane[4];
} tinyml_int32x4;
typedef struct {
  int16_t lane[8];
} tinyml_int16x8;
typedef struct {
  int8_t lane[16];
} tinyml_int8x16;
#endif

/* Bytes of a vector. */
#define TINYML_VECTOR 16

/* How a layer's sums become outputs; the host proves which form is exact. */
enum {
  TINYML_MVE_CLAMPED, /* the activation is [zero point, 127] with zero point -128: ReLU */
  TINYML_MVE_SIGNED,  /* no activation: [-128, 127]; all scales shift to the right */
  TINYML_MVE_GENERAL  /* anything else */
};

/* -- memory ------------------------------------------------------------------------------------ */

TINYML_INLINE tinyml_int32x4 tinyml_load_int32x4(const int32_t *from) {
#if TINYML_HAS_MVE
  return vldrwq_s32(from);
#else
  tinyml_int32x4 result;
  __builtin_memcpy(&result, from, sizeof result);
  return result;
#endif
}

/* Four bytes, each widened. */
TINYML_INLINE tinyml_int32x4 tinyml_load_widened(const int8_t *from) {
#if TINYML_HAS_MVE
  return vldrbq_s32(from);
#else
  tinyml_int32x4 result;
  for (int32_t i = 0; i < 4; ++i) {
    result.lane[i] = from[i];
  }
  return result;
#endif
}

/* Stores the low bytes of the first `count` lanes, at most of all. count >= 0. */
TINYML_INLINE void tinyml_store_first_of_8(int8_t *to, tinyml_int16x8 value, int32_t count) {
#if TINYML_HAS_MVE
  __asm__ volatile("vctp.16 %[count]\n"
                   "vpst\n"
                   "vstrbt.16 %q[value], [%[to]]\n"
                   :
                   : [to] "l"(to), [value] "w"(value), [count] "r"(count)
                   : "memory");
#else
  for (int32_t i = 0; i < tinyml_min(count, 8); ++i) {
    to[i] = (int8_t)(value.lane[i] & 0xff);
  }
#endif
}

/* The same of two vectors. */
TINYML_INLINE void tinyml_store_pair_of_8(int8_t *to0, int8_t *to1, tinyml_int16x8 value0,
                                          tinyml_int16x8 value1, int32_t count) {
#if TINYML_HAS_MVE
  __asm__ volatile("vctp.16 %[count]\n"
                   "vpstt\n"
                   "vstrbt.16 %q[value0], [%[to0]]\n"
                   "vstrbt.16 %q[value1], [%[to1]]\n"
                   :
                   : [to0] "l"(to0), [to1] "l"(to1), [value0] "w"(value0), [value1] "w"(value1),
                     [count] "r"(count)
                   : "memory");
#else
  tinyml_store_first_of_8(to0, value0, count);
  tinyml_store_first_of_8(to1, value1, count);
#endif
}

/* The same of the even lanes, of which there are four. */
TINYML_INLINE void tinyml_store_first_of_4(int8_t *to, tinyml_int16x8 value, int32_t count) {
#if TINYML_HAS_MVE
  __asm__ volatile("vctp.32 %[count]\n"
                   "vpst\n"
                   "vstrbt.32 %q[value], [%[to]]\n"
                   :
                   : [to] "l"(to), [value] "w"(value), [count] "r"(count)
                   : "memory");
#else
  for (int32_t i = 0; i < tinyml_min(count, 4); ++i) {
    to[i] = (int8_t)(value.lane[2 * i] & 0xff);
  }
#endif
}

/* The first three of every four bytes, of twelve; zeros elsewhere. */
TINYML_INLINE tinyml_int8x16 tinyml_load_filter(const int8_t *from) {
  tinyml_int8x16 result;
#if TINYML_HAS_MVE
  __asm__("vmsr p0, %[lanes]\n"
          "vpst\n"
          "vldrbt.u8 %q[result], [%[from]]\n"
          : [result] "=w"(result)
          : [from] "r"(from), [lanes] "r"(0x0777), "m"(*(const int8_t (*)[12])from));
#else
  for (int32_t i = 0; i < TINYML_VECTOR; ++i) {
    result.lane[i] = i < 12 && i % 4 < 3 ? from[i] : 0;
  }
#endif
  return result;
}

/* Eight pairs of bytes, each so many bytes from `from`, the first of a pair below the second. */
TINYML_INLINE tinyml_int8x16 tinyml_gather_pairs(const int8_t *from, const uint16_t offsets[8]) {
#if TINYML_HAS_MVE
  const int16_t *halves = (const int16_t *)(const void *)from;
  return vreinterpretq_s8_s16(vldrhq_gather_offset_s16(halves, vldrhq_u16(offsets)));
#else
  tinyml_int8x16 result;
  for (int32_t i = 0; i < TINYML_VECTOR; ++i) {
    result.lane[i] = from[offsets[i / 2] + i % 2];
  }
  return result;
#endif
}

/* Stores the low byte of each lane whose four bits in `lanes` are set, so many bytes from `to`. */
TINYML_INLINE void tinyml_scatter_some(int8_t *to, const uint32_t offsets[4], tinyml_int32x4 value,
                                       int32_t lanes) {
#if TINYML_HAS_MVE
  __asm__ volatile(
      "vmsr p0, %[lanes]\n"
      "vpst\n"
      "vstrbt.32 %q[value], [%[to], %q[offsets]]\n"
      :
      : [to] "r"(to), [offsets] "w"(vldrwq_u32(offsets)), [value] "w"(value), [lanes] "r"(lanes)
      : "memory");
#else
  for (int32_t i = 0; i < 4; ++i) {
    if (lanes >> (4 * i) & 1) {
      to[offsets[i]] = (int8_t)(value.lane[i] & 0xff);
    }
  }
#endif
}

/* For each of `columns` pixels, of two rows each, 32 bytes: of every channel first the upper
 * pixel's, then the lower one's. Of 16 channels the first `count` are read, the others are 0. The
 * steps lead from pixel to pixel. */
TINYML_INLINE void tinyml_interleave_rows(int8_t *to, const int8_t *upper, int32_t upper_step,
                                          const int8_t *lower, int32_t lower_step, int32_t columns,
                                          int32_t count) {
#if TINYML_HAS_MVE
  __asm__ volatile("vctp.8 %[count]\n"
                   "wls lr, %[columns], 2f\n"
                   "1:\n"
                   "vpstt\n"
                   "vldrbt.u8 q0, [%[upper]]\n"
                   "vldrbt.u8 q1, [%[lower]]\n"
                   "add %[upper], %[upper_step]\n"
                   "add %[lower], %[lower_step]\n"
                   "vst20.8 {q0, q1}, [%[to]]\n"
                   "vst21.8 {q0, q1}, [%[to]]!\n"
                   "le lr, 1b\n"
                   "2:\n"
                   : [to] "+r"(to), [upper] "+r"(upper), [lower] "+r"(lower)
                   : [upper_step] "r"(upper_step), [lower_step] "r"(lower_step),
                     [columns] "r"(columns), [count] "r"(count)
                   : "lr", "q0", "q1", "memory");
#else
  for (int32_t column = 0; column < columns; ++column) {
    for (int32_t i = 0; i < TINYML_VECTOR; ++i) {
      *to++ = i < count ? upper[i] : 0;
      *to++ = i < count ? lower[i] : 0;
    }
    upper += upper_step;
    lower += lower_step;
  }
#endif
}

/* Copies bytes, 16 at a time, reading and writing no more than these. bytes >= 0. */
TINYML_INLINE void tinyml_mve_copy(int8_t *to, const int8_t *from, int32_t bytes) {
#if TINYML_HAS_MVE
  __asm__ volatile("wlstp.8 lr, %[bytes], 2f\n"
                   "1:\n"
                   "vldrb.8 q0, [%[from]], #16\n"
                   "vstrb.8 q0, [%[to]], #16\n"
                   "letp lr, 1b\n"
                   "2:\n"
                   : [to] "+r"(to), [from] "+r"(from)
                   : [bytes] "r"(bytes)
                   : "lr", "q0", "memory");
#else
  for (int32_t i = 0; i < bytes; ++i) {
    to[i] = from[i];
  }
#endif
}

/* Copies runs of so many bytes, each `step` behind the one before, and puts them together. */
TINYML_INLINE void tinyml_mve_copy_runs(int8_t *to, const int8_t *from, int32_t bytes, int32_t step,
                                        int32_t runs) {
  for (; runs > 0; --runs) {
    tinyml_mve_copy(to, from, bytes);
    to += bytes;
    from += step;
  }
}

/* Writes one value to bytes, as tinyml_mve_copy does. */
TINYML_INLINE void tinyml_mve_fill(int8_t *to, int32_t value, int32_t bytes) {
#if TINYML_HAS_MVE
  __asm__ volatile("vdup.8 q0, %[value]\n"
                   "wlstp.8 lr, %[bytes], 2f\n"
                   "1:\n"
                   "vstrb.8 q0, [%[to]], #16\n"
                   "letp lr, 1b\n"
                   "2:\n"
                   : [to] "+r"(to)
                   : [value] "r"(value), [bytes] "r"(bytes)
                   : "lr", "q0", "memory");
#else
  for (int32_t i = 0; i < bytes; ++i) {
    to[i] = (int8_t)value;
  }
#endif
}

/* -- arithmetic, lane by lane ------------------------------------------------------------------ */

/* Modulo 2^32. */
TINYML_INLINE tinyml_int32x4 tinyml_add_int32x4(tinyml_int32x4 a, tinyml_int32x4 b) {
#if TINYML_HAS_MVE
  return vaddq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] = (int32_t)((uint32_t)a.lane[i] + (uint32_t)b.lane[i]);
  }
  return a;
#endif
}

/* The rounded high half of 2 * a * b: tinyml_doubling_high_multiply. */
TINYML_INLINE tinyml_int32x4 tinyml_multiply_high(tinyml_int32x4 a, tinyml_int32x4 b) {
#if TINYML_HAS_MVE
  return vqrdmulhq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] = tinyml_doubling_high_multiply(a.lane[i], b.lane[i]);
  }
  return a;
#endif
}

/* value * 2^shift; to nearest, ties up, where -shift > 0. -32 <= shift <= 0. */
TINYML_INLINE tinyml_int32x4 tinyml_shift_right_rounded(tinyml_int32x4 value,
                                                        tinyml_int32x4 shift) {
#if TINYML_HAS_MVE
  return vrshlq_s32(value, shift);
#else
  for (int32_t i = 0; i < 4; ++i) {
    const int64_t half = (INT64_C(1) << -shift.lane[i]) >> 1;
    value.lane[i] = (int32_t)((value.lane[i] + half) >> -shift.lane[i]);
  }
  return value;
#endif
}

/* value * 2^shift modulo 2^32 for 0 <= shift <= 31. */
TINYML_INLINE tinyml_int32x4 tinyml_shift_left(tinyml_int32x4 value, tinyml_int32x4 shift) {
#if TINYML_HAS_MVE
  return vshlq_s32(value, shift);
#else
  for (int32_t i = 0; i < 4; ++i) {
    value.lane[i] = (int32_t)((uint32_t)value.lane[i] << shift.lane[i]);
  }
  return value;
#endif
}

/* -1 below zero, else 0. */
TINYML_INLINE tinyml_int32x4 tinyml_sign(tinyml_int32x4 value) {
#if TINYML_HAS_MVE
  return vshrq_n_s32(value, 31);
#else
  for (int32_t i = 0; i < 4; ++i) {
    value.lane[i] = value.lane[i] >> 31;
  }
  return value;
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_and(tinyml_int32x4 a, tinyml_int32x4 b) {
#if TINYML_HAS_MVE
  return vandq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] &= b.lane[i];
  }
  return a;
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_max_int32x4(tinyml_int32x4 a, tinyml_int32x4 b) {
#if TINYML_HAS_MVE
  return vmaxq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
  }
  return a;
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_min_int32x4(tinyml_int32x4 a, tinyml_int32x4 b) {
#if TINYML_HAS_MVE
  return vminq_s32(a, b);
#else
  for (int32_t i = 0; i < 4; ++i) {
    a.lane[i] = tinyml_min(a.lane[i], b.lane[i]);
  }
  return a;
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_all_int32x4(int32_t value) {
#if TINYML_HAS_MVE
  return vdupq_n_s32(value);
#else
  const tinyml_int32x4 result = {{value, value, value, value}};
  return result;
#endif
}

/* With a scalar in every lane: tinyml_add_int32x4, tinyml_multiply_high, and
 * tinyml_shift_right_rounded. */
TINYML_INLINE tinyml_int32x4 tinyml_add_scalar(tinyml_int32x4 a, int32_t b) {
#if TINYML_HAS_MVE
  return vaddq_n_s32(a, b);
#else
  return tinyml_add_int32x4(a, tinyml_all_int32x4(b));
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_multiply_high_scalar(tinyml_int32x4 a, int32_t b) {
#if TINYML_HAS_MVE
  return vqrdmulhq_n_s32(a, b);
#else
  return tinyml_multiply_high(a, tinyml_all_int32x4(b));
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_shift_scalar(tinyml_int32x4 value, int32_t shift) {
#if TINYML_HAS_MVE
  return vrshlq_n_s32(value, shift);
#else
  return tinyml_shift_right_rounded(value, tinyml_all_int32x4(shift));
#endif
}

/* The sum of the products of 16 bytes. */
TINYML_INLINE int32_t tinyml_dot(tinyml_int8x16 a, tinyml_int8x16 b) {
#if TINYML_HAS_MVE
  return vmladavq_s8(a, b);
#else
  int32_t sum = 0;
  for (int32_t i = 0; i < TINYML_VECTOR; ++i) {
    sum += a.lane[i] * b.lane[i];
  }
  return sum;
#endif
}

TINYML_INLINE tinyml_int32x4 tinyml_four(int32_t lane0, int32_t lane1, int32_t lane2,
                                         int32_t lane3) {
#if TINYML_HAS_MVE
  tinyml_int32x4 result;
  __asm__("vmov %q[result][2], %q[result][0], %[lane0], %[lane2]\n"
          "vmov %q[result][3], %q[result][1], %[lane1], %[lane3]\n"
          : [result] "=&w"(result)
          : [lane0] "r"(lane0), [lane1] "r"(lane1), [lane2] "r"(lane2), [lane3] "r"(lane3));
  return result;
#else
  const tinyml_int32x4 result = {{lane0, lane1, lane2, lane3}};
  return result;
#endif
}

/* All bytes one lane, or four, further up, and zeros below them. */
TINYML_INLINE tinyml_int8x16 tinyml_up_by_1(tinyml_int8x16 value) {
#if TINYML_HAS_MVE
  uint32_t carry = 0;
  return vshlcq_s8(value, &carry, 8);
#else
  for (int32_t i = TINYML_VECTOR - 1; i > 0; --i) {
    value.lane[i] = value.lane[i - 1];
  }
  value.lane[0] = 0;
  return value;
#endif
}

TINYML_INLINE tinyml_int8x16 tinyml_up_by_4(tinyml_int8x16 value) {
#if TINYML_HAS_MVE
  uint32_t carry = 0;
  return vshlcq_s8(value, &carry, 32);
#else
  for (int32_t i = 0; i < 4; ++i) {
    value = tinyml_up_by_1(value);
  }
  return value;
#endif
}

/* -- narrowing --------------------------------------------------------------------------------- */

/* The nearest int16 of each even lane from `even`, of each odd one from `odd`. */
TINYML_INLINE tinyml_int16x8 tinyml_narrow_int32x4(tinyml_int32x4 even, tinyml_int32x4 odd) {
#if TINYML_HAS_MVE
  const tinyml_int16x8 evens = vqmovnbq_s32(vuninitializedq_s16(), even);
  return vqmovntq_s32(evens, odd);
#else
  tinyml_int16x8 result;
  for (int32_t i = 0; i < 4; ++i) {
    result.lane[2 * i] = (int16_t)tinyml_clamp(even.lane[i], INT16_MIN, INT16_MAX);
    result.lane[2 * i + 1] = (int16_t)tinyml_clamp(odd.lane[i], INT16_MIN, INT16_MAX);
  }
  return result;
#endif
}

/* The nearest int8 of each lane in its low byte; what is above it is undefined. */
TINYML_INLINE tinyml_int16x8 tinyml_saturate_low_bytes(tinyml_int16x8 value) {
#if TINYML_HAS_MVE
  return vreinterpretq_s16_s8(vqmovnbq_s16(vreinterpretq_s8_s16(value), value));
#else
  for (int32_t i = 0; i < 8; ++i) {
    value.lane[i] = (int16_t)tinyml_clamp(value.lane[i], INT8_MIN, INT8_MAX);
  }
  return value;
#endif
}

TINYML_INLINE tinyml_int16x8 tinyml_clamp_int16x8(tinyml_int16x8 value, int32_t low, int32_t high) {
#if TINYML_HAS_MVE
  return vminq_s16(vmaxq_s16(value, vdupq_n_s16((int16_t)low)), vdupq_n_s16((int16_t)high));
#else
  for (int32_t i = 0; i < 8; ++i) {
    value.lane[i] = (int16_t)tinyml_clamp(value.lane[i], low, high);
  }
  return value;
#endif
}

/* The nearest int16 to value + addend. */
TINYML_INLINE tinyml_int16x8 tinyml_add_saturated(tinyml_int16x8 value, int32_t addend) {
#if TINYML_HAS_MVE
  return vqaddq_n_s16(value, (int16_t)addend);
#else
  for (int32_t i = 0; i < 8; ++i) {
    value.lane[i] = (int16_t)tinyml_clamp(value.lane[i] + addend, INT16_MIN, INT16_MAX);
  }
  return value;
#endif
}

#endif
