# The head of the portable file: see portable_head.ts for what it does and for the constants behind it.
# portable_head_test.ts assembles this file and compares.
.intel_syntax noprefix
start:                       # rsp: argc, argv, 0, environment, 0, auxiliary vector
  mov rcx, [rsp]
  lea r12, [rsp+16]          # the arguments after the name
  lea r13, [rsp+rcx*8+16]    # the environment
  mov rsi, r13
1: lodsq
  test rax, rax
  jnz 1b
1: lodsq
  mov rdx, [rsi]
  add rsi, 8
  cmp rax, 31                # AT_EXECFN
  cmove r14, rdx
  cmp rax, 12                # AT_EUID
  cmove r15, rdx
  test rax, rax
  jnz 1b

  mov rsi, r14
1: mov rdi, rsi              # behind the last slash
2: lodsb
  cmp al, '/'
  je 1b
  test al, al
  jnz 2b
  lea rbx, constants[rip]
  lea rbp, [rbx+40]          # the form of that name, or the last
form:
  mov rsi, [rbp]
  test rsi, rsi
  jz 3f
  mov rdx, rdi
1: lodsb
  cmp al, [rdx]
  jne 2f
  inc rdx
  test al, al
  jnz 1b
  jmp 3f
2: add rbp, 40
  jmp form

3: mov rsi, r13              # what we set goes out of the environment
  mov rdi, r13
variable:
  lodsq
  test rax, rax
  jz append
  mov r8, [rbp+8]
2: mov rcx, [r8]
  add r8, 8
  test rcx, rcx
  jz 3f
  mov rdx, rax
1: mov r9b, [rcx]
  cmp r9b, [rdx]
  jne 2b
  inc rcx
  inc rdx
  cmp r9b, '='
  jne 1b
  jmp variable
3: stosq
  jmp variable
append:                      # over the auxiliary vector, which is longer
  mov rsi, [rbp+8]
1: lodsq
  stosq
  test rax, rax
  jnz 1b
  lea rdx, [r12-12288]       # the vectors have the 4096 bytes above it
  mov rsi, [rdi-16]          # the last one ends in our path
  mov [rdi-16], rdx
  mov rdi, rdx
1: lodsb
  stosb
  test al, al
  jnz 1b
  dec rdi
  mov rsi, r14
1: lodsb
  stosb
  test al, al
  jnz 1b

  lea r8, [rbp+24]           # the list to start with: the shell
  mov r9, [rbx+16]           # what must be root's or ours, "/" first
  mov ebp, -1                # root: the owner of "/"
  mov edi, -100              # AT_FDCWD
  lea rdx, [r12-12288-256]
trust:
  mov rsi, [r9]
  add r9, 8
  test rsi, rsi
  jz trusted
  mov r10d, 0x100            # AT_SYMLINK_NOFOLLOW: a link has mode 0777
  mov eax, 262               # newfstatat
  syscall
  test rax, rax
  jnz 1f
  mov eax, [rdx+28]          # st_uid
  cmp ebp, -1
  cmove ebp, eax
  cmp eax, ebp
  je 2f
  cmp eax, r15d
  jne 1f
2: mov eax, [rdx+24]         # st_mode
  test al, 022               # others may write
  jz trust
  test ah, 2                 # but not exchange what is there: sticky
  jnz trust
  jmp 1f
trusted:
  mov eax, 257               # openat, a failure is ignored
  mov rsi, [rbx]             # the mark
  mov edx, 0xa0241           # O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC
  mov r10d, 0644
  syscall
  mov eax, 262
  mov rsi, [rbx+8]           # there if the tree is going
  lea rdx, [r12-12288-256]
  xor r10d, r10d
  syscall
  cmp rax, -2                # ENOENT
  jne 1f
  mov r10, rdx
  xor edx, edx
  xor edi, edi
  mov esi, 9                 # RLIMIT_AS
  mov eax, 302               # prlimit64
  syscall
  cmp qword ptr [r10], -1    # RLIM_INFINITY
  jne 1f
  sub r8, 8                  # Deno
1: mov rsi, [r8]
  add r8, 8
  test rsi, rsi
  jz fail
  mov rsp, r12
2: lodsq                     # from the last to the first
  test rax, rax
  jz 3f
  cmp rax, 1                 # our path
  cmove rax, r14
  push rax
  jmp 2b
3: mov eax, 59               # execve
  mov rdi, [rsp]
  mov rsi, rsp
  mov rdx, r13
  syscall
  jmp 1b
fail:
  mov eax, 1                 # write
  mov edi, 2
  mov rsi, [rbx+24]
  mov rdx, [rbx+32]
  syscall
  mov eax, 231               # exit_group
  mov edi, 1
  syscall
.balign 8
constants:
