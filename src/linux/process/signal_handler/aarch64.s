// The handler of a signal: see caught_signals.ts. caught_signals_test.ts assembles this file and compares.
fault:                       // entry for signals of faults. x0: number, x1: siginfo
  ldr w9, [x1, 8]            // si_code: above 0 from the kernel
  cmp w9, 0
  b.le sent
  .inst 0                    // all signals are blocked: this ends the program
sent:                        // entry for all others
  str x0, [sp, -16]!
  ldr w0, fd
  mov x1, sp
  mov x2, 8
  mov x8, 64                 // write
  svc 0
  ldr x0, [sp], 16
  ret
fd:
  .word 0
