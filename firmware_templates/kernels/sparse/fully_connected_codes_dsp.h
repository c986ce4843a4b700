/* FULLY_CONNECTED of a single row, int8, whose weights are stored as codes of four bits
 * (tinyml_sparse.h), for cores with the DSP extension. Equals fully_connected.h to the bit.
 *
 * A table in scratch has the two weights of each possible byte as a word, so that a byte takes one
 * load and one SMLAD with two widened inputs. Memory: the row is widened before outputs are
 * written.
 */
#ifndef TINYML_FULLY_CONNECTED_CODES_DSP_H
#define TINYML_FULLY_CONNECTED_CODES_DSP_H

#include "../dsp/tinyml_dsp.h"
#include "../tinyml_requantize.h"
#include "tinyml_sparse.h"

typedef struct {
  int32_t depth; /* even */
  int32_t channels;
  int32_t codebooks; /* one, or each channel's */
  tinyml_requantization output;
} tinyml_fully_connected_codes_dsp_params;

TINYML_SHARED void tinyml_codes_table(const int8_t *codebook, uint32_t *table) {
  for (int32_t second = 0; second < TINYML_CODEBOOK; ++second) {
    const uint32_t high = (uint32_t)codebook[second] << 16;
    for (int32_t first = 0; first < TINYML_CODEBOOK; ++first) {
      *table++ = high | ((uint32_t)codebook[first] & 0xffffu);
    }
  }
}

/* Sums of two channels, whose codes lie `apart` bytes from each other. */
TINYML_SHARED void tinyml_codes_dot_2(const uint32_t *inputs, const uint8_t *codes, int32_t apart,
                                      int32_t pairs, const uint32_t *table, int32_t sums[2]) {
  const uint8_t *others = codes + apart;
  int32_t sum0 = sums[0], sum1 = sums[1];
  for (; pairs >= 4; pairs -= 4) {
    sum0 = tinyml_smlad(table[codes[0]], inputs[0], sum0);
    sum1 = tinyml_smlad(table[others[0]], inputs[0], sum1);
    sum0 = tinyml_smlad(table[codes[1]], inputs[1], sum0);
    sum1 = tinyml_smlad(table[others[1]], inputs[1], sum1);
    sum0 = tinyml_smlad(table[codes[2]], inputs[2], sum0);
    sum1 = tinyml_smlad(table[others[2]], inputs[2], sum1);
    sum0 = tinyml_smlad(table[codes[3]], inputs[3], sum0);
    sum1 = tinyml_smlad(table[others[3]], inputs[3], sum1);
    inputs += 4;
    codes += 4;
    others += 4;
  }
  for (; pairs > 0; --pairs) {
    sum0 = tinyml_smlad(table[*codes++], *inputs, sum0);
    sum1 = tinyml_smlad(table[*others++], *inputs++, sum1);
  }
  sums[0] = sum0;
  sums[1] = sum1;
}

/* scratch: the table, then the row as int16. */
TINYML_KERNEL void
tinyml_fully_connected_codes_dsp(const tinyml_fully_connected_codes_dsp_params *p,
                                 const int8_t *input, const uint8_t *lists, const int32_t *bias,
                                 const int32_t *multiplier, const int8_t *shift, int8_t *output,
                                 int8_t *scratch) {
  const tinyml_multipliers scale = {multiplier, shift};
  uint32_t *table = (uint32_t *)(void *)scratch;
  uint32_t *inputs = table + TINYML_CODEBOOK * TINYML_CODEBOOK;
  const int8_t *codebook = (const int8_t *)lists;
  const int32_t pairs = p->depth / 2;
  /* Each list has its number of steps first, which here is always the same. */
  const int32_t apart = 2 + pairs;
  const uint8_t *codes = lists + p->codebooks * TINYML_CODEBOOK + 2;
  for (int32_t i = 0; i < pairs; ++i) {
    inputs[i] = ((uint32_t)input[2 * i] & 0xffffu) | (uint32_t)input[2 * i + 1] << 16;
  }
  if (p->codebooks == 1) {
    tinyml_codes_table(codebook, table);
  }
  for (int32_t channel = 0; channel < p->channels;) {
    /* With codebooks of their own, or at the end, a channel is its own partner. */
    const int32_t both = p->codebooks == 1 && channel + 1 < p->channels;
    int32_t sums[2] = {bias[channel], bias[channel + both]};
    if (p->codebooks > 1) {
      tinyml_codes_table(codebook + channel * TINYML_CODEBOOK, table);
    }
    tinyml_codes_dot_2(inputs, codes, both ? apart : 0, pairs, table, sums);
    output[channel] = tinyml_requantize(&p->output, scale, channel, sums[0]);
    if (both) {
      output[channel + 1] = tinyml_requantize(&p->output, scale, channel + 1, sums[1]);
    }
    channel += 1 + both;
    codes += (1 + both) * apart;
  }
}

#endif
