/* Text and numbers on whatever takes bytes. */
#ifndef PRINT_H
#define PRINT_H

#include <stddef.h>
#include <stdint.h>

#define DEC 10
#define HEX 16
#define OCT 8
#define BIN 2

class Print {
public:
  virtual size_t write(uint8_t byte) = 0;
  virtual size_t write(const uint8_t *data, size_t size);
  virtual void flush() {
  }

  size_t write(const char *text);

  size_t print(const char *text) {
    return write(text);
  }
  size_t print(char character) {
    return write(static_cast<uint8_t>(character));
  }
  size_t print(int value, int base = DEC) {
    return print(static_cast<long>(value), base);
  }
  size_t print(unsigned int value, int base = DEC) {
    return print(static_cast<unsigned long>(value), base);
  }
  size_t print(long value, int base = DEC);
  size_t print(unsigned long value, int base = DEC);
  size_t print(double value, int digits = 2);

  size_t println() {
    return write("\r\n");
  }
  template <typename Value> size_t println(Value value) {
    const size_t written = print(value);
    return written + println();
  }
  template <typename Value> size_t println(Value value, int format) {
    const size_t written = print(value, format);
    return written + println();
  }
};

#endif
