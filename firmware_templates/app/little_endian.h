/* Numbers in the byte order of the protocol, whatever the core's own and its rules on alignment. */
#ifndef LITTLE_ENDIAN_H
#define LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint16_t get_u16(const uint8_t *from) {
  return (uint16_t)(from[0] | from[1] << 8);
}

static inline uint32_t get_u32(const uint8_t *from) {
  return get_u16(from) | (uint32_t)get_u16(from + 2) << 16;
}

/* Each put returns where the next goes. Replies have many of them, and bytes one by one take more
 * instructions than a call. */
static inline uint8_t *put_u16(uint8_t *to, uint32_t value) {
  to[0] = (uint8_t)value;
  to[1] = (uint8_t)(value >> 8);
  return to + 2;
}

static __attribute__((noinline, unused)) uint8_t *put_u32(uint8_t *to, uint32_t value) {
  return put_u16(put_u16(to, value), value >> 16);
}

static inline uint8_t *put_u64(uint8_t *to, uint64_t value) {
  return put_u32(put_u32(to, (uint32_t)value), (uint32_t)(value >> 32));
}

#endif
