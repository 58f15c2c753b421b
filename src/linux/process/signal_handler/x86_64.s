# The handler of a signal: see caught_signals.ts. caught_signals_test.ts assembles this file and compares.
.intel_syntax noprefix
fault:                       # entry for signals of faults. rdi: number, rsi: siginfo
  cmp dword ptr [rsi+8], 0   # si_code: above 0 from the kernel
  jle sent
  ud2                        # all signals are blocked: this ends the program
sent:                        # entry for all others
  push rdi
  mov eax, 1                 # write
  mov edi, [rip+fd]
  mov rsi, rsp
  mov edx, 8
  syscall
  pop rdi
  ret
fd:
  .long 0
