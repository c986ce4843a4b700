/* Weights that are stored in less than a byte each: zeros or blocks of zeros left out, or codes of
 * four bits. What lists of them mean, in portable C; tinyml_sdk/ops/sparse/lists.py writes them.
 *
 * The list of a channel starts with its number of steps in 16 bits, little endian. A step:
 *   gaps        {gap1 + 16 * gap2, weight1, weight2}: two weights, each so many products further on
 *   coded gaps  {code + 16 * gap}: one, which is codebook[code]
 *   blocks      {gap, weight, weight, weight, weight}: four neighbouring products, the first of
 *               them so many products behind the first of the block before
 *   codes       {code1 + 16 * code2}: two neighbouring products; none are left out
 *
 * A tile is what a few output pixels read: a row for each product, with the inputs of all pixels.
 * So a weight is decoded once for all of them.
 */
#ifndef TINYML_SPARSE_H
#define TINYML_SPARSE_H

#include "../tinyml_arithmetic.h"

enum {
  TINYML_LIST_GAPS,
  TINYML_LIST_CODED_GAPS,
  TINYML_LIST_BLOCKS,
  TINYML_LIST_CODES,
};

enum { TINYML_CODEBOOK = 16 };

/* Where the products of a channel are, and the sums so far: of one pixel, or of four. A tile's row
 * has a byte for each pixel; or, where it is packed, a word for two, a0 + 2^23 * a1, whose sums are
 * one of 64 bits. (Fields and no array, so that compilers keep them in registers.) */
typedef struct {
  int32_t pixels;
  int32_t packed;
  const int8_t *row;
  uint32_t sum0, sum1, sum2, sum3;
  uint64_t pairs[4];
} tinyml_sparse_sums;

TINYML_INLINE void tinyml_sparse_skip(tinyml_sparse_sums *s, int32_t rows) {
  s->row += rows * s->pixels * (s->packed ? 2 : 1);
}

/* All of it modulo 2^32 or 2^64. */
TINYML_INLINE void tinyml_sparse_add(tinyml_sparse_sums *s, int32_t weight) {
  if (s->packed) {
    for (int32_t i = 0; i < s->pixels / 2; ++i) {
      int32_t pair;
      __builtin_memcpy(&pair, s->row + 4 * i, 4);
      s->pairs[i] += (uint64_t)((int64_t)pair * weight);
    }
    return;
  }
  s->sum0 += (uint32_t)(s->row[0] * weight);
  if (s->pixels == 4) {
    s->sum1 += (uint32_t)(s->row[1] * weight);
    s->sum2 += (uint32_t)(s->row[2] * weight);
    s->sum3 += (uint32_t)(s->row[3] * weight);
  }
}

/* Adds the products of a list; returns its end. */
TINYML_INLINE const uint8_t *tinyml_sparse_walk(int32_t format, const uint8_t *list,
                                                const int8_t *codebook, tinyml_sparse_sums *s) {
  int32_t steps = list[0] | list[1] << 8;
  for (list += 2; steps > 0; --steps) {
    const int32_t head = *list++;
    if (format == TINYML_LIST_GAPS) {
      tinyml_sparse_skip(s, head & 15);
      tinyml_sparse_add(s, (int8_t)*list++);
      tinyml_sparse_skip(s, head >> 4);
      tinyml_sparse_add(s, (int8_t)*list++);
    } else if (format == TINYML_LIST_CODED_GAPS) {
      tinyml_sparse_skip(s, head >> 4);
      tinyml_sparse_add(s, codebook[head & 15]);
    } else if (format == TINYML_LIST_BLOCKS) {
      tinyml_sparse_skip(s, head);
      tinyml_sparse_add(s, (int8_t)list[0]);
      tinyml_sparse_skip(s, 1);
      tinyml_sparse_add(s, (int8_t)list[1]);
      tinyml_sparse_skip(s, 1);
      tinyml_sparse_add(s, (int8_t)list[2]);
      tinyml_sparse_skip(s, 1);
      tinyml_sparse_add(s, (int8_t)list[3]);
      tinyml_sparse_skip(s, -3);
      list += 4;
    } else {
      tinyml_sparse_add(s, codebook[head & 15]);
      tinyml_sparse_skip(s, 1);
      tinyml_sparse_add(s, codebook[head >> 4]);
      tinyml_sparse_skip(s, 1);
    }
  }
  return list;
}

#endif
