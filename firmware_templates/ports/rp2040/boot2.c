/* The second stage of the boot, which the boot ROM runs if its checksum is right: CRC-32 with
 * polynomial 04C11DB7, from all ones, highest bit first, of the 252 bytes before it (RP2040
 * datasheet, 2.8.1.3.1). The bytes are boot2.S, assembled. */
#include <stdint.h>

#define BOOT2_WORDS 64u

extern const uint32_t boot2[BOOT2_WORDS];

__attribute__((section(".boot2"), used)) const uint32_t boot2[BOOT2_WORDS] = {
    0x21004B0Au, 0x21046099u, 0x49096159u,
    0x49096019u, 0x60014809u, 0x60592100u,
    0x60992101u, 0x49084807u, 0xC8036008u,
    0x8808F380u, 0x00004708u, 0x18000000u,
    0x001F0300u, 0x03000218u, 0x180000F4u,
    0x10000100u, 0xE000ED08u, [BOOT2_WORDS - 1u] = 0x0AACAA58u,
};
