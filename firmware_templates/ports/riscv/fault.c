/* What a crash tells the host: where it was and why, instead of silence. */
#include "protocol.h"
#include "riscv.h"

void fault_report(uint32_t stack_pointer, uint32_t return_address);

#define READ_CSR(name)                                                                             \
  __extension__({                                                                                  \
    uint32_t csr_value;                                                                            \
    __asm volatile("csrr %0, " name : "=r"(csr_value));                                            \
    csr_value;                                                                                     \
  })

__attribute__((used)) void fault_report(uint32_t stack_pointer, uint32_t return_address) {
  static struct port_fault fault;
  /* All of it, as a stack that ran over may have left anything here. */
  fault = (struct port_fault){
      .exception = PORT_EXCEPTION_RISCV + READ_CSR("mcause"),
      .program_counter = READ_CSR("mepc"),
      .link_register = return_address,
      .address = READ_CSR("mtval"),
      .stack_pointer = stack_pointer,
      .stack_limit = (uint32_t)(uintptr_t)_stack_limit,
  };
  protocol_fault(&fault);
}
