/* From reset to main, and into the fault report: RV32 in machine mode, without interrupts. */
#include "riscv.h"

int main(void);
void Reset_Handler(void);
void start(void);

/* Paints the whole stack while nothing is on it. The name is that of the other ports, which
 * toolchains are told as the entry point. */
__attribute__((naked, noreturn, used, section(".text.reset"))) void Reset_Handler(void) {
  __asm volatile(".option push\n"
                 ".option norelax\n"
                 "  la gp, __global_pointer$\n"
                 ".option pop\n"
                 "  la t0, fault_entry\n"
                 "  csrw mtvec, t0\n"
                 "  la t0, _stack_limit\n"
                 "  la sp, _stack_top\n"
                 "  li t1, 0xC5C5C5C5\n" /* STACK_PAINT */
                 "1:\n"
                 "  sw t1, 0(t0)\n"
                 "  addi t0, t0, 4\n"
                 "  bltu t0, sp, 1b\n"
                 "  call start\n"
                 "2:\n"
                 "  j 2b\n"
                 /* Every trap is a fault here. One whose stack ran over gets the stack's top to
                    itself, as the crash was far below. The vector has to be aligned. */
                 "  .balign 4\n"
                 "fault_entry:\n"
                 "  mv a0, sp\n"
                 "  mv a1, ra\n"
                 "  la t0, _stack_limit + 512\n"
                 "  bgeu sp, t0, 3f\n"
                 "  la sp, _stack_top\n"
                 "3:\n"
                 "  call fault_report\n");
}

__attribute__((noreturn, used)) void start(void) {
  const uint32_t *from = _data_load;
  for (uint32_t *to = _data_start; to < _data_end; ++to) {
    *to = *from++;
  }
  for (uint32_t *to = _bss_start; to < _bss_end; ++to) {
    *to = 0;
  }
  (void)main();
  for (;;) {
  }
}
