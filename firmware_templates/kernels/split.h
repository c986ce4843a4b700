/* SPLIT and SPLIT_V, bytes, portable C: for each index before the axis, a part for each output.
 *
 * Memory: no output may overlap the input.
 */
#ifndef TINYML_SPLIT_H
#define TINYML_SPLIT_H

#include "tinyml_bytes.h"

#define TINYML_SPLIT_OUTPUTS 10

typedef struct {
  int32_t rows; /* product of the dimensions before the axis */
  int32_t outputs;
  int32_t bytes[TINYML_SPLIT_OUTPUTS]; /* of each output's row: the axis and all behind it */
} tinyml_split_params;

/* tinyml_split(params, input, output 0, output 1, ...) */
#define tinyml_split(p, input, ...) tinyml_split_rows(p, input, (int8_t *const[]){__VA_ARGS__})

TINYML_KERNEL void tinyml_split_rows(const tinyml_split_params *p, const int8_t *input,
                                     int8_t *const *outputs) {
  for (int32_t row = 0; row < p->rows; ++row) {
    for (int32_t i = 0; i < p->outputs; ++i) {
      tinyml_copy(outputs[i] + row * p->bytes[i], input, p->bytes[i]);
      input += p->bytes[i];
    }
  }
}

#endif
