/* What MLPerf Tiny's protocol loads and prints, and the tensors that the model computes with. */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app_config.h"

/* How many bytes the host loads for one inference. */
#if defined(APP_MLPERF_LOADS_FLOATS)
#define LOAD_BYTES (4u * APP_MLPERF_INPUT_BYTES)
#else
#define LOAD_BYTES APP_MLPERF_INPUT_BYTES
#endif

/* Byte `index` of what the host has loaded; `index` is below LOAD_BYTES. */
void tensors_load(size_t index, uint8_t byte);
uint8_t tensors_loaded(size_t index);

/* Prepares inferences on what was loaded, once for any number of them. */
void tensors_prepare(void);

/* Writes the model's input. Before every inference, as later layers reuse its memory. */
void tensors_set_input(void);

/* Prints what the last inference computed, parted by commas. */
void tensors_print_results(void);

#endif
