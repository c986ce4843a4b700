/* UNIDIRECTIONAL_SEQUENCE_LSTM, int8 with an int16 cell state, portable C. Arithmetic:
 * tensorflow/lite/micro/kernels/lstm_eval.h, and the integer FullyConnected, Logistic, Tanh and
 * MulElementwise that it calls (tensorflow/lite/kernels/internal/reference/integer_ops/).
 *
 * A unit is computed to its end before the next one: the sums of its four gates, its cell, its
 * output. So nothing is kept but the outputs, and those of the step before are where they were
 * written. The zero points of input and output are already in the bias, as in fully_connected.h.
 * The states persist from one inference to the next, as TFLM's do; the model's init resets them.
 *
 * Memory: a row of the input is read again for each unit of its output row.
 */
#ifndef TINYML_UNIDIRECTIONAL_SEQUENCE_LSTM_H
#define TINYML_UNIDIRECTIONAL_SEQUENCE_LSTM_H

#include "dsp/tinyml_dsp.h"
#include "tinyml_activation16.h"
#include "tinyml_bytes.h"

/* A factor of multiplier / 2^31 * 2^(left - right). One of the shifts is 0, and the host has proved
 * that what is scaled fits 32 bits when shifted by left + 1. */
typedef struct {
  int32_t multiplier;
  int32_t left;
  int32_t right;
} tinyml_lstm_scale;

/* From the sums of a gate to its input, with 12 fractional bits. */
typedef struct {
  tinyml_lstm_scale from_input;
  tinyml_lstm_scale from_output;
} tinyml_lstm_gate;

typedef struct {
  int32_t outer; /* loops over the rows: batches and steps, or steps and batches if time_major */
  int32_t inner;
  int32_t time_major;
  int32_t depth; /* inputs of a row */
  int32_t units; /* outputs of a row */
  tinyml_lstm_gate input_gate;
  tinyml_lstm_gate forget_gate;
  tinyml_lstm_gate cell_gate;
  tinyml_lstm_gate output_gate;
  int32_t cell_right; /* shift from Q0.30 to the cell state, less one */
  int32_t cell_min;
  int32_t cell_max;
  int32_t tanh_left; /* from the cell state to 12 fractional bits */
  int32_t tanh_right;
  tinyml_lstm_scale output; /* from Q0.30 */
  int32_t output_zero_point;
} tinyml_lstm_params;

/* MultiplyByQuantizedMultiplier. The doubling comes before the product, so that its rounded high
 * half is a register, to which half of what is shifted out is added in the same instruction. Less
 * one for negative values, ties round away from 0. */
TINYML_INLINE int32_t tinyml_lstm_rescale(tinyml_lstm_scale by, int32_t value) {
  const int32_t doubled = value * (2 << by.left);
  const int32_t half = (int32_t)((UINT32_C(1) << by.right) >> 1);
  const int32_t scaled = tinyml_smmlar(doubled, by.multiplier, half);
  return by.right > 0 ? (scaled + (value >> 31)) >> by.right : scaled;
}

/* The same for a product of two int16 and the factor 2^-(right + 1): half of it rounded up, then
 * rounded to nearest. right > 0. */
TINYML_INLINE int32_t tinyml_lstm_product(int32_t a, int32_t b, int32_t right) {
  const int32_t high = (a * b + 1) >> 1;
  return (high + (high >> 31) + (1 << (right - 1))) >> right;
}

/* What goes into a gate's function, as int16. */
TINYML_INLINE int32_t tinyml_lstm_gate_input(const tinyml_lstm_gate *gate, int32_t from_input,
                                             int32_t from_output) {
  const int32_t input = tinyml_ssat16(tinyml_lstm_rescale(gate->from_input, from_input));
  const int32_t output = tinyml_ssat16(tinyml_lstm_rescale(gate->from_output, from_output));
  return tinyml_ssat16(input + output);
}

/* A step of one unit. The sums are those of its gates, in the order of the parameters: of products
 * with the step's input and with the outputs of the step before. */
TINYML_INLINE int8_t tinyml_lstm_unit(const tinyml_lstm_params *p, const int32_t from_input[4],
                                      const int32_t from_output[4], int16_t *cell) {
  const int32_t input_gate =
      tinyml_logistic16(tinyml_lstm_gate_input(&p->input_gate, from_input[0], from_output[0]));
  const int32_t forget_gate =
      tinyml_logistic16(tinyml_lstm_gate_input(&p->forget_gate, from_input[1], from_output[1]));
  const int32_t cell_gate =
      tinyml_tanh16(tinyml_lstm_gate_input(&p->cell_gate, from_input[2], from_output[2]), 0, 0);
  const int32_t output_gate =
      tinyml_logistic16(tinyml_lstm_gate_input(&p->output_gate, from_input[3], from_output[3]));

  const int32_t kept = tinyml_lstm_product(forget_gate, *cell, 14);
  const int32_t added = tinyml_ssat16(tinyml_lstm_product(input_gate, cell_gate, p->cell_right));
  *cell = (int16_t)tinyml_clamp(kept + added, p->cell_min, p->cell_max);

  const int32_t shown = tinyml_tanh16(*cell, p->tanh_left, p->tanh_right) * output_gate;
  const int32_t output = tinyml_lstm_rescale(p->output, shown) + p->output_zero_point;
  return (int8_t)tinyml_clamp(output, INT8_MIN, INT8_MAX);
}

/* Where the outputs of the step before are: behind the first step those that were just written. */
TINYML_INLINE const int8_t *tinyml_lstm_previous(const tinyml_lstm_params *p, int32_t step,
                                                 const int8_t *state, const int8_t *output) {
  return step == 0 ? state : output - (p->time_major ? p->inner * p->units : p->units);
}

/* The sums of a unit's four gates. */
TINYML_INLINE void tinyml_lstm_sums(const int8_t *row, const int8_t *weights, const int32_t *bias,
                                    int32_t depth, int32_t sums[4]) {
  int32_t sum0 = bias[0], sum1 = bias[1], sum2 = bias[2], sum3 = bias[3];
  for (int32_t i = 0; i < depth; ++i) {
    const int32_t value = row[i];
    sum0 += value * weights[i];
    sum1 += value * weights[i + depth];
    sum2 += value * weights[i + 2 * depth];
    sum3 += value * weights[i + 3 * depth];
  }
  sums[0] = sum0;
  sums[1] = sum1;
  sums[2] = sum2;
  sums[3] = sum3;
}

/* input_weights: [unit][gate][depth], output_weights: [unit][gate][unit]; biases: [unit][gate].
 * output_state, cell_state: [batch][unit]. */
TINYML_KERNEL void tinyml_lstm(const tinyml_lstm_params *p, const int8_t *input,
                               const int8_t *input_weights, const int32_t *input_bias,
                               const int8_t *output_weights, const int32_t *output_bias,
                               int8_t *output_state, int16_t *cell_state, int8_t *output) {
  const int32_t units = p->units, steps = p->time_major ? p->outer : p->inner;
  for (int32_t outer = 0; outer < p->outer; ++outer) {
    for (int32_t inner = 0; inner < p->inner; ++inner) {
      const int32_t step = p->time_major ? outer : inner;
      const int32_t batch = p->time_major ? inner : outer;
      int8_t *state = output_state + batch * units;
      int16_t *cell = cell_state + batch * units;
      const int8_t *previous = tinyml_lstm_previous(p, step, state, output);
      for (int32_t unit = 0; unit < units; ++unit) {
        int32_t from_input[4], from_output[4];
        tinyml_lstm_sums(input, input_weights + 4 * unit * p->depth, input_bias + 4 * unit,
                         p->depth, from_input);
        tinyml_lstm_sums(previous, output_weights + 4 * unit * units, output_bias + 4 * unit, units,
                         from_output);
        output[unit] = tinyml_lstm_unit(p, from_input, from_output, cell + unit);
      }
      if (step == steps - 1) {
        tinyml_copy(state, output, units);
      }
      input += p->depth;
      output += units;
    }
  }
}

#endif
