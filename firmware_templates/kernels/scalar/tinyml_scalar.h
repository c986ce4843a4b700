/* What the kernels for cores without SIMD instructions share.
 *
 * Compilers order loads and products of a long unrolled block by themselves, loads first, and then
 * spill what does not fit into registers: four instructions a product instead of two and a half. So
 * the kernels have empty assembler statements that take the sums, and keep the order as written.
 */
#ifndef TINYML_SCALAR_H
#define TINYML_SCALAR_H

#include <stddef.h>

#include "../tinyml_bytes.h"
#include "../tinyml_requantize.h"

/* One instance for all layers: what would gain nothing from a shape of its own. */
#define TINYML_SCALAR_SHARED static __attribute__((noinline, unused))

/* Moves a pointer on. The compiler keeps it in a register, and does not make several out of it. */
#define TINYML_ADVANCE(pointer, bytes)                                                             \
  do {                                                                                             \
    (pointer) += (bytes);                                                                          \
    __asm__("" : "+r"(pointer));                                                                   \
  } while (0)

/* -- copies ------------------------------------------------------------------------------------ */

TINYML_INLINE int32_t tinyml_scalar_is_aligned(const int8_t *address) {
  return ((uintptr_t)address & 3u) == 0;
}

TINYML_INLINE void tinyml_scalar_copy_word(int8_t *to, const int8_t *from) {
  uint32_t word;
  __builtin_memcpy(&word, __builtin_assume_aligned(from, 4), 4);
  __builtin_memcpy(__builtin_assume_aligned(to, 4), &word, 4);
}

/* Without unaligned loads, a word at a time only where both sides allow it. */
TINYML_SCALAR_SHARED void tinyml_scalar_copy(int8_t *to, const int8_t *from, int32_t bytes) {
  if (tinyml_scalar_is_aligned(to) && tinyml_scalar_is_aligned(from)) {
    for (; bytes >= 4; bytes -= 4) {
      tinyml_scalar_copy_word(to, from);
      from += 4;
      to += 4;
    }
  }
  for (; bytes > 0; --bytes) {
    *to++ = *from++;
  }
}

/* Puts the bytes of one pixel into a tile of so many pixels: words in turns. A last word that is
 * not full keeps what it had in the rest. Returns where the next full word goes. */
TINYML_SCALAR_SHARED int8_t *tinyml_scalar_put(int8_t *to, int32_t tile, const int8_t *from,
                                               int32_t bytes) {
  const int32_t step = 4 * tile;
  if (tinyml_scalar_is_aligned(from)) {
    for (; bytes >= 4; bytes -= 4) {
      tinyml_scalar_copy_word(to, from);
      from += 4;
      to += step;
    }
  }
  for (; bytes > 0; bytes -= 4) {
    for (int32_t i = 0; i < tinyml_min(4, bytes); ++i) {
      to[i] = from[i];
    }
    from += 4;
    to += step;
  }
  return to;
}

/* -- from sums to outputs ---------------------------------------------------------------------- */

/* How a layer's sums become outputs; the host proves which form is exact (ops/dsp/matrix.py). */
enum {
  TINYML_SCALAR_CLAMPED, /* the activation is [zero point, 127] with zero point -128: ReLU */
  TINYML_SCALAR_SIGNED,  /* no activation: [-128, 127] */
  TINYML_SCALAR_GENERAL, /* anything else */
  TINYML_SCALAR_NARROW /* two products of 32 bits; any activation (ops/scalar/narrow_scaling.py) */
};

/* Fractional bits of a scaled output just before it is clamped. */
#define TINYML_SCALAR_FRACTION 15

/* The same for TINYML_SCALAR_NARROW, and the bits of the lower part of its factor. */
#define TINYML_SCALAR_NARROW_FRACTION 22
#define TINYML_SCALAR_LOWER_BITS 12

/* Bits of the exponent, the lowest of its word of a channel, which shifted right by exponent - 2 is
 * the factor. And the fractional bits of its span. */
#define TINYML_SCALAR_EXPONENT_BITS 4
#define TINYML_SCALAR_SPAN_BITS 8

/* A channel's constants. tinyml_scalar_finish_narrow reads them in this order. */
typedef struct {
  int32_t multiplier; /* TINYML_SCALAR_NARROW: the upper part of the factor */
  int32_t offset;
  int32_t shift; /* TINYML_SCALAR_NARROW: the lower part of the factor */
  int32_t low;   /* where sums end, for TINYML_SCALAR_NARROW */
  int32_t high;
} tinyml_scalar_scale;

/* What the offsets of all channels have in common: the zero point and a half. */
TINYML_INLINE int32_t tinyml_scalar_base(int32_t form, const tinyml_requantization *p) {
  const int32_t bits =
      form == TINYML_SCALAR_NARROW ? TINYML_SCALAR_NARROW_FRACTION : TINYML_SCALAR_FRACTION;
  return p->output_zero_point * (1 << bits) + (1 << (bits - 1));
}

/* From a word, and its span and what else its offset has (see ops/scalar/narrow_scaling.py). */
TINYML_INLINE tinyml_scalar_scale tinyml_scalar_load_narrow(const tinyml_requantization *p,
                                                            int32_t base, uint32_t word,
                                                            const int8_t *bytes) {
  tinyml_scalar_scale loaded;
  const uint32_t exponent = word & ((1u << TINYML_SCALAR_EXPONENT_BITS) - 1u);
  const int32_t span = ((1 << TINYML_SCALAR_SPAN_BITS) + (uint8_t)bytes[0]) << exponent;
  const uint32_t factor = word >> (exponent - 2u);
  loaded.low = ((p->activation_min - p->output_zero_point) * span) >> TINYML_SCALAR_SPAN_BITS;
  loaded.high = ((p->activation_max - p->output_zero_point) * span) >> TINYML_SCALAR_SPAN_BITS;
  loaded.multiplier = (int32_t)(factor >> TINYML_SCALAR_LOWER_BITS);
  loaded.shift = (int32_t)(factor & ((1u << TINYML_SCALAR_LOWER_BITS) - 1u));
  loaded.offset = base + ((1 << (TINYML_SCALAR_NARROW_FRACTION - 1)) >> exponent) + bytes[1];
  return loaded;
}

/* From a layer's table: the multiplier and the shift of each channel, or a word and two bytes. */
TINYML_INLINE tinyml_scalar_scale tinyml_scalar_load_form(int32_t form,
                                                          const tinyml_requantization *p,
                                                          int32_t base, const int32_t *scale,
                                                          const int8_t *shift, int32_t index) {
  tinyml_scalar_scale loaded;
  if (form == TINYML_SCALAR_NARROW) {
    return tinyml_scalar_load_narrow(p, base, (uint32_t)scale[index], shift + 2 * index);
  }
  loaded.low = 0;
  loaded.high = 0;
  loaded.multiplier = scale[index];
  loaded.shift = shift[index];
  loaded.offset = form == TINYML_SCALAR_GENERAL ? 0 : base + ((1 << loaded.shift) >> 2);
  return loaded;
}

/* The same where channels are few, or the form is no literal. */
TINYML_STEP tinyml_scalar_scale tinyml_scalar_load(int32_t form, const tinyml_requantization *p,
                                                   const int32_t *scale, const int8_t *shift,
                                                   int32_t index) {
  return tinyml_scalar_load_form(form, p, tinyml_scalar_base(form, p), scale, shift, index);
}

/* The upper half of a product with a factor that is not negative, from products of 16-bit halves:
 * for Armv6-M, which has no product of 64 bits. A general one takes twice as many instructions. */
TINYML_INLINE int32_t tinyml_scalar_split_product(int32_t value, int32_t factor) {
  const int32_t upper = value >> 16;
  const uint32_t lower = (uint32_t)value & 0xFFFFu;
  const uint32_t factor_upper = (uint32_t)factor >> 16, factor_lower = (uint32_t)factor & 0xFFFFu;
  const int32_t middle = (int32_t)((uint32_t)upper * factor_lower + (lower * factor_lower >> 16));
  const uint32_t rest = lower * factor_upper + ((uint32_t)middle & 0xFFFFu);
  return (int32_t)((uint32_t)upper * factor_upper) + (middle >> 16) + (int32_t)(rest >> 16);
}

TINYML_INLINE int32_t tinyml_scalar_high_product(int32_t value, int32_t factor) {
#if defined(__ARM_ARCH_6M__)
  return tinyml_scalar_split_product(value, factor);
#else
  return (int32_t)(((int64_t)value * factor) >> 32);
#endif
}

/* With shift k, a = sum * 2^k, and the offset c of ops/dsp/matrix.py, both of TFLM's roundings are
 * in (a * multiplier + c * 2^32) >> (32 + 15), but that ties round up. Below zero they must round
 * down, which takes 2^(k - 1) less, unless all that is negative is clamped anyway. 2^(k - 2) is all
 * that the offset has in its lower bits. */
TINYML_INLINE int8_t tinyml_scalar_requantize(int32_t form, const tinyml_requantization *p,
                                              const tinyml_scalar_scale *scale, int32_t sum) {
  if (form == TINYML_SCALAR_GENERAL) {
    return tinyml_requantize_by(p, scale->multiplier, scale->shift, sum);
  }
  if (form == TINYML_SCALAR_NARROW) {
    const int32_t limited = tinyml_clamp(sum, scale->low, scale->high);
    const int32_t lower = (limited * scale->shift) >> TINYML_SCALAR_LOWER_BITS;
    return (int8_t)((limited * scale->multiplier + lower + scale->offset) >>
                    TINYML_SCALAR_NARROW_FRACTION);
  }
  int32_t scaled = (int32_t)((uint32_t)sum << scale->shift);
  scaled = tinyml_scalar_high_product(scaled, scale->multiplier) + scale->offset;
  if (form == TINYML_SCALAR_SIGNED) {
    const int32_t rounding = scale->offset & ((1 << (TINYML_SCALAR_FRACTION - 1)) - 1);
    scaled -= 2 * (rounding & (sum >> 31));
  }
  return (int8_t)tinyml_clamp(scaled >> TINYML_SCALAR_FRACTION, -128, 127);
}

/* The outputs of some sums of a channel. step: from output to output. */
TINYML_INLINE void tinyml_scalar_finish(int32_t form, const tinyml_requantization *p,
                                        const tinyml_scalar_scale *scale, const int32_t *sums,
                                        int32_t count, int8_t *output, int32_t step) {
  for (int32_t i = 0; i < count; ++i) {
    *output = tinyml_scalar_requantize(form, p, scale, sums[i]);
    output += step;
  }
}

/* -- for all forms, where code shall be small (Armv6-M) ---------------------------------------- */

#define TINYML_SCALAR_ANY (-1) /* the form is not a literal but the layer's */

/* One of the functions below. Named by the layer, so that no other is linked. */
typedef void tinyml_scalar_finisher(const tinyml_requantization *p,
                                    const tinyml_scalar_scale *scale, const int32_t *sums,
                                    int32_t count, int8_t *output, int32_t step);

#define TINYML_SCALAR_FINISH(name, form)                                                           \
  TINYML_SCALAR_SHARED void tinyml_scalar_finish_##name(                                           \
      const tinyml_requantization *p, const tinyml_scalar_scale *scale, const int32_t *sums,       \
      int32_t count, int8_t *output, int32_t step) {                                               \
    tinyml_scalar_finish(form, p, scale, sums, count, output, step);                               \
  }

TINYML_SCALAR_FINISH(clamped, TINYML_SCALAR_CLAMPED)
TINYML_SCALAR_FINISH(signed, TINYML_SCALAR_SIGNED)
TINYML_SCALAR_FINISH(general, TINYML_SCALAR_GENERAL)
/* tinyml_scalar_finish_narrow is in tinyml_scalar_armv6m.h. */

#endif
