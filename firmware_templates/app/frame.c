#include "frame.h"

#include "little_endian.h"
#include "port.h"
#include "small_code.h"

SMALL_CODE_BEGIN

#define COBS_RUN_MAX 254u    /* bytes without a zero in one block */
#define COBS_FULL_BLOCK 255u /* code of a block behind which no zero was taken out */

/* Bit by bit: a table would cost more flash than the time is worth at the speed of a serial line.
 */
static uint32_t crc32(const uint8_t *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < size; ++i) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (UINT32_C(0xEDB88320) & (0u - (crc & 1u)));
    }
  }
  return ~crc;
}

static void append(struct frame_receiver *receiver, uint8_t byte) {
  if (receiver->size == FRAME_MAX) {
    receiver->too_long = true;
  } else {
    receiver->bytes[receiver->size++] = byte;
  }
}

/* A zero came: what was decoded is a frame, or noise. */
static size_t finish(struct frame_receiver *receiver) {
  const size_t size = receiver->size;
  const bool whole = !receiver->too_long && receiver->left == 0;
  receiver->size = 0;
  receiver->block = 0;
  receiver->left = 0;
  receiver->too_long = false;
  if (!whole || size < FRAME_HEADER_BYTES + FRAME_CRC_BYTES) {
    return 0;
  }
  const size_t checked = size - FRAME_CRC_BYTES;
  return get_u32(receiver->bytes + checked) == crc32(receiver->bytes, checked) ? checked : 0;
}

size_t frame_receive(struct frame_receiver *receiver, uint8_t byte) {
  if (byte == 0) {
    return finish(receiver);
  }
  if (receiver->left != 0) {
    --receiver->left;
    append(receiver, byte);
    return 0;
  }
  if (receiver->block != 0 && receiver->block != COBS_FULL_BLOCK) {
    append(receiver, 0);
  }
  receiver->block = byte;
  receiver->left = (uint8_t)(byte - 1u);
  return 0;
}

void frame_send(uint8_t *bytes, size_t size) {
  static const uint8_t mark = 0;
  const uint8_t *block = bytes;
  const uint8_t *const end = put_u32(bytes + size, crc32(bytes, size));
  port_write(&mark, 1);
  for (;;) {
    size_t run = 0;
    while (run < COBS_RUN_MAX && block + run != end && block[run] != 0) {
      ++run;
    }
    const uint8_t code = (uint8_t)(run + 1u);
    port_write(&code, 1);
    port_write(block, run);
    block += run;
    if (block == end) {
      break;
    }
    if (code != COBS_FULL_BLOCK) {
      ++block; /* the zero that the code byte stands for */
    }
  }
  port_write(&mark, 1);
}

SMALL_CODE_END
