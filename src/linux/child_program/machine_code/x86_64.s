# The spawner's routine: see machine_code.ts for the memory it walks.
# machine_code_test.ts assembles this file and compares.
.intel_syntax noprefix
start:                       # rdi: program; 0 as the entry of an executable of its own, which has all registers zero
  test rdi, rdi
  jz entry
  push rbx
  push r12
  push r13
  push r14
  mov rbx, rdi
  mov r12, [rbx+16]          # the parent's steps before
  mov r13, [rbx+24]
  call walk
  mov r14, rax
  neg r14
  test rax, rax
  jnz after
  mov eax, 435               # clone3
  mov rdi, [rbx]
  mov rsi, [rbx+8]
  syscall
  test rax, rax
  jz child
  mov r14, rax
after:
  mov r12, [rbx+48]          # the parent's steps after
  mov r13, [rbx+56]
  call walk
  mov rax, r14               # pid or -errno
  pop r14
  pop r13
  pop r12
  pop rbx
  ret
child:
  mov r12, [rbx+32]          # the child's steps
  mov r13, [rbx+40]
  call walk
  xor edi, edi
  test rax, rax
  jz quit
  mov r12, [rbx+88]          # the steps that tell of a failure
  mov r13, [rbx+96]
  call walk
  mov edi, 127
quit:
  mov eax, 231               # exit_group
  syscall
  ud2                        # a filter has forbidden it
entry:
  mov ebx, 0x410000          # the program that maps the other one
  mov r12, [rbx+32]
  mov r13, [rbx+40]
  call walk
  mov rbx, [rbx]             # which is that one
  jmp child
walk:                        # r12: step, r13: end
  cmp r12, r13
  jae finished
  mov rdi, [r12+8]
  mov rsi, [r12+16]
  mov rdx, [r12+24]
  mov r10, [r12+32]
  mov r8, [r12+40]
  mov r9, [r12+48]
  mov ecx, [r12+56]          # flags
  test ch, 1                 # bit 8 + i: argument i is the address of its value
  jz 1f
  mov rdi, [rdi]
1: test ch, 2
  jz 1f
  mov rsi, [rsi]
1: test ch, 4
  jz 1f
  mov rdx, [rdx]
1: test ch, 8
  jz 1f
  mov r10, [r10]
1: test ch, 16
  jz 1f
  mov r8, [r8]
1: test ch, 32
  jz 1f
  mov r9, [r9]
1: mov rax, [r12]
  syscall
  mov rcx, [r12+72]          # where the result goes
  test rcx, rcx
  jz 1f
  mov [rcx], rax
1: cmp rax, -4095
  jae failed
  mov ecx, [r12+84]          # steps to skip on success
  test rax, rax
  jnz next
  test byte ptr [r12+56], 2  # bit 1: a result of 0 is a failure
  jz next
  mov rax, -32               # EPIPE
failed:
  neg rax
  mov ecx, [r12+80]          # steps to skip on an ignored failure
  test byte ptr [r12+56], 1  # bit 0: ignore every errno
  jnz next
  mov rdx, [r12+64]          # up to eight errnos to ignore, a byte each
1: test dl, dl
  jz fatal
  cmp al, dl
  je next
  shr rdx, 8
  jmp 1b
next:
  imul rcx, rcx, 88
  lea r12, [r12+rcx+88]
  jmp walk
fatal:
  mov [rbx+64], r12          # the step that failed
  mov [rbx+72], rax          # and its errno
  ret
finished:
  xor eax, eax
  ret
