/* What a crash tells the host: where it was and why, instead of silence. */
#include "cortex_m.h"
#include "protocol.h"
#include "small_code.h"

SMALL_CODE_BEGIN

void fault_report(uint32_t stack_pointer);

/* The exception frame on the stack, Armv7-M ARM B1.5.6: r0-r3, r12, lr, pc, xpsr. */
enum { FRAME_LR = 5, FRAME_PC = 6, FRAME_WORDS = 8 };

static void read_fault_status(struct port_fault *fault) {
#if !defined(__ARM_ARCH_6M__)
  const uint32_t address_valid = 1u << 7;
  fault->status = REGISTER(0xE000ED28); /* CFSR */
  if (fault->status & address_valid) {
    fault->address = REGISTER(0xE000ED34); /* MMFAR */
  } else if (fault->status >> 8 & address_valid) {
    fault->address = REGISTER(0xE000ED38); /* BFAR */
  }
#else
  (void)fault; /* Armv6-M does not say */
#endif
}

__attribute__((used)) void fault_report(uint32_t stack_pointer) {
  static struct port_fault fault;
  uint32_t exception;
  __asm volatile("mrs %0, ipsr" : "=r"(exception));
  /* All of it, as a stack that ran over may have left anything here. Member by member: the compiler
   * would call memset for the zeros, which has more bytes than all of this. */
  fault.exception = exception;
  fault.program_counter = 0;
  fault.link_register = 0;
  fault.status = 0;
  fault.address = 0;
  fault.stack_pointer = stack_pointer;
  fault.stack_limit = (uint32_t)(uintptr_t)_stack_limit;
  const uintptr_t top = (uintptr_t)_stack_top;
  if (stack_pointer % 4u == 0 && stack_pointer >= (uintptr_t)_ram_start &&
      stack_pointer <= top - FRAME_WORDS * 4u) {
    const uint32_t *frame = (const uint32_t *)(uintptr_t)stack_pointer;
    fault.link_register = frame[FRAME_LR];
    fault.program_counter = frame[FRAME_PC];
  }
  read_fault_status(&fault);
  protocol_fault(&fault);
}

SMALL_CODE_END
