/* CMSIS-NN's functions behind the calling convention of our generated layers: a struct of literals,
 * input, constants, output, scratch. Nothing but the call: the functions are compiled as they are,
 * in their own files. */
#ifndef BENCHMARK_CMSIS_NN_H
#define BENCHMARK_CMSIS_NN_H

#include "arm_nnfunctions.h"

struct cmsis_nn_convolution {
  cmsis_nn_conv_params layer;
  cmsis_nn_dims input, filter, bias, output;
  int32_t scratch_bytes;
};

struct cmsis_nn_depthwise {
  cmsis_nn_dw_conv_params layer;
  cmsis_nn_dims input, filter, bias, output;
  int32_t scratch_bytes;
};

struct cmsis_nn_fully_connected {
  cmsis_nn_fc_params layer;
  cmsis_nn_dims input, filter, bias, output;
};

struct cmsis_nn_pooling {
  cmsis_nn_pool_params layer;
  cmsis_nn_dims input, filter, output;
  int32_t scratch_bytes;
};

static inline void cmsis_nn_convolve(const struct cmsis_nn_convolution *params, const int8_t *input,
                                     const int8_t *weights, const int32_t *bias,
                                     const int32_t *multiplier, const int32_t *shift, int8_t *output,
                                     void *scratch) {
  const cmsis_nn_context context = {scratch, params->scratch_bytes};
  const cmsis_nn_per_channel_quant_params scaling = {(int32_t *)multiplier, (int32_t *)shift};
  (void)arm_convolve_wrapper_s8(&context, &params->layer, &scaling, &params->input, input,
                                &params->filter, weights, &params->bias, bias, &params->output,
                                output);
}

static inline void cmsis_nn_depthwise_convolve(const struct cmsis_nn_depthwise *params,
                                               const int8_t *input, const int8_t *weights,
                                               const int32_t *bias, const int32_t *multiplier,
                                               const int32_t *shift, int8_t *output, void *scratch) {
  const cmsis_nn_context context = {scratch, params->scratch_bytes};
  const cmsis_nn_per_channel_quant_params scaling = {(int32_t *)multiplier, (int32_t *)shift};
  (void)arm_depthwise_conv_wrapper_s8(&context, &params->layer, &scaling, &params->input, input,
                                      &params->filter, weights, &params->bias, bias,
                                      &params->output, output);
}

static inline void cmsis_nn_fully_connect(const struct cmsis_nn_fully_connected *params,
                                          const int8_t *input, const int8_t *weights,
                                          const int32_t *bias, const int32_t *multiplier,
                                          const int32_t *shift, int8_t *output) {
  const cmsis_nn_context context = {NULL, 0};
  const cmsis_nn_per_tensor_quant_params scaling = {multiplier[0], shift[0]};
  (void)arm_fully_connected_s8(&context, &params->layer, &scaling, &params->input, input,
                               &params->filter, weights, &params->bias, bias, &params->output,
                               output);
}

static inline void cmsis_nn_average_pool(const struct cmsis_nn_pooling *params, const int8_t *input,
                                         int8_t *output, void *scratch) {
  const cmsis_nn_context context = {scratch, params->scratch_bytes};
  (void)arm_avgpool_s8(&context, &params->layer, &params->input, input, &params->filter,
                       &params->output, output);
}

static inline void cmsis_nn_max_pool(const struct cmsis_nn_pooling *params, const int8_t *input,
                                     int8_t *output, void *scratch) {
  const cmsis_nn_context context = {scratch, params->scratch_bytes};
  (void)arm_max_pool_s8(&context, &params->layer, &params->input, input, &params->filter,
                        &params->output, output);
}

#endif
