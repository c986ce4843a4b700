/* The benchmark application on any Arduino core: `Serial` is the console. Cycles are counted by the
 * core's own counter where it has one: DWT on Cortex-M3 and up, the CPU's on ESP32; elsewhere
 * microseconds are. */
#include <Arduino.h>

#include "app_config.h"
#include "port.h"

#if defined(ARDUINO_ARCH_ESP32)
#define HAS_ESP_COUNTER
#elif defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__)
#define HAS_DWT
#endif

#if defined(__arm__)
#define ARM_REGISTER(address) (*reinterpret_cast<volatile uint32_t *>(address))
#define DWT_CTRL ARM_REGISTER(0xE0001000)
#define DWT_CYCCNT ARM_REGISTER(0xE0001004)
#define DWT_LAR ARM_REGISTER(0xE0001FB0)
#define SCB_AIRCR ARM_REGISTER(0xE000ED0C)
#define DCB_DEMCR ARM_REGISTER(0xE000EDFC)
#endif

static uint8_t counter = PORT_COUNTER_MICROS;

#if defined(HAS_DWT)
/* Only trying shows whether it counts: some chips have the registers alone, as QEMU has. It is not
 * set to 0: the Arduino core may use it for micros(). */
static bool dwt_start() {
  DCB_DEMCR = DCB_DEMCR | 1u << 24; /* TRCENA */
  DWT_LAR = 0xC5ACCE55u;            /* Cortex-M7 locks its DWT against software */
  DWT_CTRL = DWT_CTRL | 1u;         /* CYCCNTENA */
  const uint32_t before = DWT_CYCCNT;
  for (volatile int wait = 0; wait < 16; wait = wait + 1) {
  }
  return DWT_CYCCNT != before;
}
#endif

static uint32_t ticks() {
#if defined(HAS_ESP_COUNTER)
  return ESP.getCycleCount();
#elif defined(HAS_DWT)
  return counter == PORT_COUNTER_DWT ? DWT_CYCCNT : micros();
#else
  return micros();
#endif
}

void port_init(void) {
  Serial.begin(APP_CONSOLE_BAUD);
#if defined(HAS_ESP_COUNTER)
  counter = PORT_COUNTER_ESP_CPU;
#elif defined(HAS_DWT)
  if (dwt_start()) {
    counter = PORT_COUNTER_DWT;
  }
#endif
}

int port_read(void) {
  if (Serial.available() > 0) {
    return Serial.read();
  }
#if defined(ARDUINO_ARCH_ESP32)
  delay(1); /* lets the idle task run, which feeds the watchdog; the driver buffers what comes */
#endif
  return -1;
}

void port_write(const uint8_t *data, size_t size) {
  while (size != 0) {
    const size_t written = Serial.write(data, size);
    data += written;
    size -= written;
  }
}

/* Right as long as it is read at least once while the 32 bit counter turns: every 7 s at 600 MHz.
 */
uint64_t port_counter(void) {
  static uint32_t last, turns;
  const uint32_t now = ticks();
  if (now < last) {
    ++turns;
  }
  last = now;
  return static_cast<uint64_t>(turns) << 32 | now;
}

uint8_t port_counter_kind(void) {
  return counter;
}

uint32_t port_counter_hz(void) {
  return counter == PORT_COUNTER_MICROS ? 1000000u : port_clock_hz();
}

uint32_t port_clock_hz(void) {
#if defined(ARDUINO_ARCH_ESP32)
  return getCpuFrequencyMhz() * 1000000u;
#elif defined(ARDUINO_ARCH_STM32)
  return SystemCoreClock;
#elif defined(F_CPU)
  return F_CPU;
#else
  return APP_CLOCK_HZ;
#endif
}

/* Only FreeRTOS knows. 0 means that it is not known. */
uint32_t port_stack_bytes(void) {
#if defined(ARDUINO_ARCH_ESP32)
  return getArduinoLoopTaskStackSize();
#else
  return 0;
#endif
}

uint32_t port_stack_high_water(void) {
#if defined(ARDUINO_ARCH_ESP32)
  return getArduinoLoopTaskStackSize() - uxTaskGetStackHighWaterMark(nullptr);
#else
  return 0;
#endif
}

void port_reset(void) {
  Serial.flush();
  delay(10); /* what a USB serial port has taken is still on its way */
#if defined(ARDUINO_ARCH_ESP32)
  ESP.restart();
#elif defined(__arm__)
  SCB_AIRCR = 0x05FA0004u; /* key, SYSRESETREQ */
#endif
  for (;;) {
  }
}
