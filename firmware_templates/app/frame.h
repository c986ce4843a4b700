/* Frames on a line that may lose, change or add bytes.
 *
 *   0x00, COBS(sequence u8, type u8, body, CRC-32 u32 of all before), 0x00
 *
 * COBS (Cheshire and Baker, "Consistent overhead byte stuffing", 1999) leaves no zero inside, so a
 * zero always ends a frame and reading recovers at the next one. The zero in front cuts off
 * whatever the line carried before: half a frame, boot text. CRC-32 is that of IEEE 802.3, zlib and
 * PNG.
 */
#ifndef FRAME_H
#define FRAME_H

#include "app_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES 2u
#define FRAME_BODY_MAX APP_FRAME_BODY_BYTES
#define FRAME_CRC_BYTES 4u
#define FRAME_MAX (FRAME_HEADER_BYTES + FRAME_BODY_MAX + FRAME_CRC_BYTES)

struct frame_receiver {
  uint8_t bytes[FRAME_MAX]; /* decoded: header, body, CRC */
  uint16_t size;            /* how many there are so far */
  uint8_t block;            /* code byte of the COBS block being read, 0 before the first */
  uint8_t left;             /* bytes of that block still to come */
  bool too_long;            /* drop everything up to the next zero */
};

/* Takes one byte from the line. When it ends a frame that is whole and right, returns the size of
 * header and body, which stay in `bytes` with the CRC behind them until the next call. Otherwise
 * returns 0. */
size_t frame_receive(struct frame_receiver *receiver, uint8_t byte);

/* Sends `size` bytes of header and body as a frame. Writes FRAME_CRC_BYTES more behind them. */
void frame_send(uint8_t *bytes, size_t size);

#endif
