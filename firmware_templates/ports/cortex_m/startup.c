/* From reset to main, and into the fault report. Every Cortex-M from Armv6-M up. */
#include "cortex_m.h"
#include "small_code.h"

SMALL_CODE_BEGIN

int main(void);
void Reset_Handler(void);
void Fault_Handler(void);
void SysTick_Handler(void);
void start(void);

/* No peripheral interrupts are ever enabled, so the table ends with the core's own exceptions. The
 * names of handlers are those of CMSIS, which debuggers know. */
__attribute__((section(".isr_vector"), used)) const uintptr_t vectors[16] = {
    (uintptr_t)_stack_top,
    (uintptr_t)Reset_Handler,
    (uintptr_t)Fault_Handler, /* NMI */
    (uintptr_t)Fault_Handler, /* HardFault */
    (uintptr_t)Fault_Handler, /* MemManage */
    (uintptr_t)Fault_Handler, /* BusFault */
    (uintptr_t)Fault_Handler, /* UsageFault */
    0,
    0,
    0,
    0,
    (uintptr_t)Fault_Handler, /* SVCall */
    (uintptr_t)Fault_Handler, /* DebugMonitor */
    0,
    (uintptr_t)Fault_Handler, /* PendSV */
    (uintptr_t)SysTick_Handler,
};

/* Paints the whole stack while nothing is on it, and turns the FPU on before compiled code may use
 * it. */
__attribute__((naked, noreturn, used)) void Reset_Handler(void) {
  __asm volatile(".syntax unified\n"
                 "  ldr r0, =_stack_limit\n"
                 "  ldr r1, =_stack_top\n"
                 "  ldr r2, =0xC5C5C5C5\n" /* STACK_PAINT */
                 "1:\n"
                 "  stmia r0!, {r2}\n"
                 "  cmp r0, r1\n"
                 "  blo 1b\n"
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
                 "  ldr r0, =0xE000ED88\n" /* CPACR */
                 "  ldr r1, [r0]\n"
                 "  ldr r2, =0x00F00000\n" /* full access to CP10 and CP11 */
                 "  orrs r1, r2\n"
                 "  str r1, [r0]\n"
                 "  dsb\n"
                 "  isb\n"
#endif
                 "  bl start\n"
                 "2:\n"
                 "  b 2b\n"
                 "  .ltorg\n");
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

/* Hands the stack pointer at the crash to fault_report (fault.c). When the stack ran over, the
 * report gets the top of the stack to itself: the crash was far below, so its frame can still be
 * read. */
__attribute__((naked, used)) void Fault_Handler(void) {
  __asm volatile(".syntax unified\n"
                 "  mrs r0, msp\n"
                 "  ldr r1, =_stack_limit + 512\n"
                 "  cmp r0, r1\n"
                 "  bhs 1f\n"
                 "  ldr r1, =_stack_top\n"
                 "  msr msp, r1\n"
                 "1:\n"
                 "  bl fault_report\n"
                 "  .ltorg\n");
}

/* Only the SysTick counter has something to do here. */
__attribute__((weak, alias("Fault_Handler"))) void SysTick_Handler(void);

SMALL_CODE_END
