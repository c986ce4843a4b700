@ The second stage of the boot, as assembler. boot2.c has its bytes, as a checksum belongs to them; a test
@ assembles this file and compares.
@
@ The RP2040's boot ROM copies the flash's first 256 bytes to RAM and runs them (RP2040 datasheet, 2.8.1.3).
@ They tell the flash interface (SSI, datasheet 4.10) how to read the flash: here with command 03h, one bit
@ at a time, which every flash knows, at a quarter of the core's clock. Then they start what lies behind
@ them, from its vector table.
  .syntax unified
  .cpu cortex-m0plus
  .thumb
  ldr r3, =0x18000000   @ XIP_SSI
  movs r1, #0
  str r1, [r3, #0x08]   @ SSIENR: off while it is set up
  movs r1, #4
  str r1, [r3, #0x14]   @ BAUDR: the divider of the clock, 33 MHz at 133; 03h is good for 50
  ldr r1, =0x001F0300
  str r1, [r3, #0x00]   @ CTRLR0: standard SPI, frames of 32 bits, write command and address, then read
  ldr r1, =0x03000218
  ldr r0, =0x180000F4
  str r1, [r0]          @ SPI_CTRLR0: command 03h of 8 bits, address of 24 bits, all on one line
  movs r1, #0
  str r1, [r3, #0x04]   @ CTRLR1: one frame a read
  movs r1, #1
  str r1, [r3, #0x08]   @ SSIENR: on
  ldr r0, =0x10000100   @ the vector table
  ldr r1, =0xE000ED08   @ VTOR
  str r0, [r1]
  ldmia r0, {r0, r1}
  msr msp, r0
  bx r1
  .ltorg
