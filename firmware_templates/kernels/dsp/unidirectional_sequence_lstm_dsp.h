/* UNIDIRECTIONAL_SEQUENCE_LSTM for cores with the DSP extension. Equals
 * unidirectional_sequence_lstm.h to the bit.
 *
 * Eight sums at a time: the four gates of two units.
 *
 * Memory: a row of the input is read again for each two units of its output row, unless it is
 * copied because it does not consist of words.
 */
#ifndef TINYML_UNIDIRECTIONAL_SEQUENCE_LSTM_DSP_H
#define TINYML_UNIDIRECTIONAL_SEQUENCE_LSTM_DSP_H

#include "../unidirectional_sequence_lstm.h"
#include "tinyml_dsp_matrix.h"

typedef struct {
  tinyml_lstm_params lstm;
  int32_t input_words; /* of a row, the last one padded */
  int32_t output_words;
} tinyml_lstm_dsp_params;

/* A row as whole words: itself, or a copy whose last word is filled with zeros. */
TINYML_INLINE const int8_t *tinyml_lstm_words(const int8_t *row, int32_t bytes, int8_t *scratch) {
  if (bytes % 4 == 0) {
    return row;
  }
  tinyml_copy(scratch, row, bytes);
  tinyml_fill(scratch + bytes, 0, 4 - bytes % 4);
  return scratch;
}

/* input_weights, output_weights: streams as in tinyml_dsp_matrix.h, for the channels [unit][gate].
 * scratch: a copy of a row of inputs and of one of outputs, each if it does not consist of words.
 */
TINYML_KERNEL void tinyml_lstm_dsp(const tinyml_lstm_dsp_params *p, const int8_t *input,
                                   const int32_t *input_weights, const int32_t *output_weights,
                                   int8_t *output_state, int16_t *cell_state, int8_t *output,
                                   int8_t *scratch) {
  const tinyml_lstm_params *lstm = &p->lstm;
  const int32_t units = lstm->units, steps = lstm->time_major ? lstm->outer : lstm->inner;
  int8_t *output_scratch = lstm->depth % 4 == 0 ? scratch : scratch + 4 * p->input_words;
  for (int32_t outer = 0; outer < lstm->outer; ++outer) {
    for (int32_t inner = 0; inner < lstm->inner; ++inner) {
      const int32_t step = lstm->time_major ? outer : inner;
      const int32_t batch = lstm->time_major ? inner : outer;
      int8_t *state = output_state + batch * units;
      int16_t *cell = cell_state + batch * units;
      const int8_t *row = tinyml_lstm_words(input, lstm->depth, scratch);
      const int8_t *previous =
          tinyml_lstm_words(tinyml_lstm_previous(lstm, step, state, output), units, output_scratch);
      const int32_t *row_weights = input_weights, *previous_weights = output_weights;
      for (int32_t unit = 0; unit < units; unit += 2) {
        int32_t from_input[8], from_output[8];
        tinyml_dsp_dot_1x8(row, row_weights, p->input_words, from_input);
        tinyml_dsp_dot_1x8(previous, previous_weights, p->output_words, from_output);
        row_weights += 8 + 8 * p->input_words;
        previous_weights += 8 + 8 * p->output_words;
        const int32_t end = tinyml_min(unit + 2, units);
        for (int32_t i = unit; i < end; ++i) {
          const int32_t first = 4 * (i - unit);
          output[i] = tinyml_lstm_unit(lstm, from_input + first, from_output + first, cell + i);
        }
      }
      if (step == steps - 1) {
        tinyml_copy(state, output, units);
      }
      input += lstm->depth;
      output += units;
    }
  }
}

#endif
