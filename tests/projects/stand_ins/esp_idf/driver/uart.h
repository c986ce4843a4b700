#pragma once
#include "esp_err.h"

#include <stddef.h>
#include <stdint.h>
typedef enum { UART_NUM_0 } uart_port_t;
typedef struct queue *QueueHandle_t;
esp_err_t uart_driver_install(uart_port_t uart, int rx_buffer_size, int tx_buffer_size,
                              int queue_size, QueueHandle_t *queue, int intr_alloc_flags);
esp_err_t uart_set_baudrate(uart_port_t uart, uint32_t baudrate);
int uart_read_bytes(uart_port_t uart, void *data, uint32_t size, TickType_t ticks);
int uart_write_bytes(uart_port_t uart, const void *data, size_t size);
esp_err_t uart_wait_tx_done(uart_port_t uart, TickType_t ticks);
