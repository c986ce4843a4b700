/* From reset to main on QEMU's `sim` machine, and its system calls (xtensa-semi.c: 1 exit, 4 write). */
    .section .reset, "ax"
    .global _reset
    .begin no-transform
_reset:
    j 1f
    .align 4
entry:
    .word _start
1:
    l32r a0, entry
    jx a0
    .end no-transform

    .section .text.start, "ax"
    .literal_position
    .global _start
    .align 4
_start:
    movi a1, _stack_top
    call0 main
    mov a3, a2
    movi a2, 1
    simcall
1:
    j 1b

    .global semihosting_write
    .align 4
semihosting_write: /* a2: bytes, a3: how many; to the host's file 1 */
    mov a5, a3
    mov a4, a2
    movi a3, 1
    movi a2, 4
    simcall
    ret
