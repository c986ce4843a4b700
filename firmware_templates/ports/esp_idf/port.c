/* The benchmark application on ESP-IDF 5: the console that sdkconfig chose, UART or the USB serial
 * port of the chip, and the core's cycle counter. What the system logs may stand between frames. */
#include "port.h"

#include "app_config.h"
#include "esp_cpu.h"
#include "esp_err.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
#include "driver/usb_serial_jtag.h"
#elif CONFIG_ESP_CONSOLE_UART
#include "driver/uart.h"
#else
#error "the benchmark needs a console: UART or USB serial/JTAG, see idf.py menuconfig"
#endif

#define BUFFER_BYTES 1024 /* several frames */
#define IDLE_TICKS 1      /* waiting lets the idle task run, which feeds the watchdog */
#define FLUSH_TICKS pdMS_TO_TICKS(100)

static uint8_t received[64];
static int received_size, received_next;

#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG

static void console_init(void) {
  usb_serial_jtag_driver_config_t config = {
      .tx_buffer_size = BUFFER_BYTES,
      .rx_buffer_size = BUFFER_BYTES,
  };
  ESP_ERROR_CHECK(usb_serial_jtag_driver_install(&config));
}

static int console_read(uint8_t *data, uint32_t size) {
  return usb_serial_jtag_read_bytes(data, size, IDLE_TICKS);
}

static int console_write(const uint8_t *data, size_t size) {
  return usb_serial_jtag_write_bytes(data, size, FLUSH_TICKS);
}

static void console_flush(void) {
  vTaskDelay(FLUSH_TICKS);
}

#else

static void console_init(void) {
  const uart_port_t uart = (uart_port_t)CONFIG_ESP_CONSOLE_UART_NUM;
  ESP_ERROR_CHECK(uart_driver_install(uart, BUFFER_BYTES, 0, 0, NULL, 0));
  ESP_ERROR_CHECK(uart_set_baudrate(uart, APP_CONSOLE_BAUD));
}

/* One byte, then what else is there: with a larger size the driver waits until it has them all. */
static int console_read(uint8_t *data, uint32_t size) {
  const uart_port_t uart = (uart_port_t)CONFIG_ESP_CONSOLE_UART_NUM;
  const int first = uart_read_bytes(uart, data, 1, IDLE_TICKS);
  if (first != 1) {
    return first;
  }
  const int more = uart_read_bytes(uart, data + 1, size - 1u, 0);
  return more > 0 ? 1 + more : 1;
}

static int console_write(const uint8_t *data, size_t size) {
  return uart_write_bytes((uart_port_t)CONFIG_ESP_CONSOLE_UART_NUM, data, size);
}

static void console_flush(void) {
  (void)uart_wait_tx_done((uart_port_t)CONFIG_ESP_CONSOLE_UART_NUM, FLUSH_TICKS);
}

#endif

void port_init(void) {
  console_init();
}

int port_read(void) {
  if (received_next == received_size) {
    received_size = console_read(received, sizeof received);
    received_next = 0;
    if (received_size <= 0) {
      received_size = 0;
      return -1;
    }
  }
  return received[received_next++];
}

void port_write(const uint8_t *data, size_t size) {
  while (size != 0) {
    const int written = console_write(data, size);
    if (written < 0) {
      return;
    }
    data += written;
    size -= (size_t)written;
  }
}

/* Right as long as it is read at least once while the 32 bit counter turns: every 17 s at 240 MHz.
 */
uint64_t port_counter(void) {
  static uint32_t last, turns;
  const uint32_t now = (uint32_t)esp_cpu_get_cycle_count();
  if (now < last) {
    ++turns;
  }
  last = now;
  return (uint64_t)turns << 32 | now;
}

uint8_t port_counter_kind(void) {
  return PORT_COUNTER_ESP_CPU;
}

uint32_t port_counter_hz(void) {
  return port_clock_hz();
}

uint32_t port_clock_hz(void) {
  return CONFIG_ESP_DEFAULT_CPU_FREQ_MHZ * 1000000u;
}

uint32_t port_stack_bytes(void) {
  return CONFIG_ESP_MAIN_TASK_STACK_SIZE;
}

/* ESP-IDF counts stacks in bytes, unlike plain FreeRTOS. */
uint32_t port_stack_high_water(void) {
  return CONFIG_ESP_MAIN_TASK_STACK_SIZE - (uint32_t)uxTaskGetStackHighWaterMark(NULL);
}

void port_reset(void) {
  console_flush();
  esp_restart();
}
