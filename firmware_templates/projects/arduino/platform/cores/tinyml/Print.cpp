#include "Print.h"

size_t Print::write(const uint8_t *data, size_t size) {
  size_t written = 0;
  while (written < size && write(data[written]) == 1) {
    ++written;
  }
  return written;
}

size_t Print::write(const char *text) {
  size_t length = 0;
  while (text[length] != '\0') {
    ++length;
  }
  return write(reinterpret_cast<const uint8_t *>(text), length);
}

size_t Print::print(long value, int base) {
  const unsigned long bits = static_cast<unsigned long>(value);
  if (value < 0 && base == DEC) {
    const size_t written = print('-');
    return written + print(0ul - bits, base);
  }
  return print(bits, base);
}

size_t Print::print(unsigned long value, int base) {
  const unsigned long radix = base < 2 ? 10u : static_cast<unsigned long>(base);
  char text[8 * sizeof value];
  size_t first = sizeof text;
  do {
    const unsigned long digit = value % radix;
    text[--first] = static_cast<char>(digit < 10 ? '0' + digit : 'A' + digit - 10);
    value /= radix;
  } while (value != 0);
  return write(reinterpret_cast<const uint8_t *>(text + first), sizeof text - first);
}

/* As the AVR core does it: what does not fit an unsigned long is `ovf`. */
size_t Print::print(double value, int digits) {
  if (value != value) {
    return print("nan");
  }
  if (value < 0) {
    const size_t written = print('-');
    return written + print(-value, digits);
  }
  double half = 0.5;
  for (int digit = 0; digit < digits; ++digit) {
    half /= 10;
  }
  value += half;
  if (value > 4294967040.0) {
    return print("ovf");
  }
  const unsigned long whole = static_cast<unsigned long>(value);
  size_t written = print(whole);
  if (digits > 0) {
    written += print('.');
  }
  for (double rest = value - static_cast<double>(whole); digits > 0; --digits) {
    rest *= 10;
    const int digit = static_cast<int>(rest);
    written += print(digit);
    rest -= digit;
  }
  return written;
}
