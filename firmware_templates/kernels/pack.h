/* PACK and UNPACK, bytes, portable C: tensors of one shape become one tensor along a new axis, and
 * the other way round.
 *
 * Memory: PACK copies each input forwards and never after its share of an output row is written; so
 * the output may overlap an input from as far below it as the input's last row lies behind its
 * place in the output. UNPACK's outputs may not overlap its input.
 */
#ifndef TINYML_PACK_H
#define TINYML_PACK_H

#include "tinyml_bytes.h"

typedef struct {
  int32_t rows;    /* product of the dimensions before the axis */
  int32_t tensors; /* size of the axis */
  int32_t bytes;   /* product of the dimensions behind it */
} tinyml_pack_params;

/* tinyml_pack(params, output, input 0, input 1, ...) */
#define tinyml_pack(p, output, ...)                                                                \
  tinyml_pack_rows(p, output, (const int8_t *const[]){__VA_ARGS__})

TINYML_KERNEL void tinyml_pack_rows(const tinyml_pack_params *p, int8_t *output,
                                    const int8_t *const *inputs) {
  for (int32_t row = 0; row < p->rows; ++row) {
    for (int32_t i = 0; i < p->tensors; ++i) {
      tinyml_copy(output, inputs[i] + row * p->bytes, p->bytes);
      output += p->bytes;
    }
  }
}

/* tinyml_unpack(params, input, output 0, output 1, ...) */
#define tinyml_unpack(p, input, ...) tinyml_unpack_rows(p, input, (int8_t *const[]){__VA_ARGS__})

TINYML_KERNEL void tinyml_unpack_rows(const tinyml_pack_params *p, const int8_t *input,
                                      int8_t *const *outputs) {
  for (int32_t row = 0; row < p->rows; ++row) {
    for (int32_t i = 0; i < p->tensors; ++i) {
      tinyml_copy(outputs[i] + row * p->bytes, input, p->bytes);
      input += p->bytes;
    }
  }
}

#endif
