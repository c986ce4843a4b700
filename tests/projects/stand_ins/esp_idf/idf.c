/* As much of ESP-IDF as the port uses, as a program of this machine: the console is stdin and
 * stdout. */
#include <freertos/FreeRTOS.h>

#include <driver/uart.h>
#include <driver/usb_serial_jtag.h>
#include <esp_cpu.h>
#include <esp_system.h>
#include <freertos/task.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

void app_main(void);

static int console_read(void *data, uint32_t size, TickType_t ticks) {
  struct pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, (int)ticks * 10) != 1) {
    return 0;
  }
  const ssize_t count = read(STDIN_FILENO, data, size);
  if (count <= 0) {
    exit(EXIT_SUCCESS);
  }
  return (int)count;
}

static int console_write(const void *data, size_t size) {
  return (int)write(STDOUT_FILENO, data, size);
}

esp_err_t uart_driver_install(uart_port_t uart, int rx_buffer_size, int tx_buffer_size,
                              int queue_size, QueueHandle_t *queue, int intr_alloc_flags) {
  (void)uart, (void)rx_buffer_size, (void)tx_buffer_size;
  (void)queue_size, (void)queue, (void)intr_alloc_flags;
  return ESP_OK;
}

esp_err_t uart_set_baudrate(uart_port_t uart, uint32_t baudrate) {
  (void)uart;
  return baudrate == 115200 ? ESP_OK : -1;
}

int uart_read_bytes(uart_port_t uart, void *data, uint32_t size, TickType_t ticks) {
  (void)uart;
  return console_read(data, size, ticks);
}

int uart_write_bytes(uart_port_t uart, const void *data, size_t size) {
  (void)uart;
  return console_write(data, size);
}

esp_err_t uart_wait_tx_done(uart_port_t uart, TickType_t ticks) {
  (void)uart, (void)ticks;
  return ESP_OK;
}

esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config) {
  (void)config;
  return ESP_OK;
}

int usb_serial_jtag_read_bytes(void *data, uint32_t size, TickType_t ticks) {
  return console_read(data, size, ticks);
}

int usb_serial_jtag_write_bytes(const void *data, size_t size, TickType_t ticks) {
  (void)ticks;
  return console_write(data, size);
}

esp_cpu_cycle_count_t esp_cpu_get_cycle_count(void) {
  static esp_cpu_cycle_count_t count;
  return count += 0x01000000u; /* turns over after 256 reads */
}

UBaseType_t uxTaskGetStackHighWaterMark(TaskHandle_t task) {
  (void)task;
  return 6000;
}

void vTaskDelay(TickType_t ticks) {
  (void)ticks;
}

void esp_restart(void) {
  exit(EXIT_SUCCESS);
}

int main(void) {
  app_main();
}
