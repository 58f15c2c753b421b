# The launcher: see launcher.ts for what it does. launcher_test.ts assembles this and compares.
.intel_syntax noprefix
start:                       # rsp: argc, launcher, directory, name, ..., 0, environment
  mov edx, 0x80001           # OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
  call open_tree
  test eax, eax
  js unsealed
  mov r12d, eax
  mov edi, eax
  lea rsi, [rip + empty]
  mov edx, 0x1000            # AT_EMPTY_PATH
  lea r10, [rip + read_only]
  mov r8d, 32
  mov eax, 442               # mount_setattr
  syscall
  jmp execute
unsealed:
  mov edx, 0x80000           # OPEN_TREE_CLOEXEC
  call open_tree
  mov r12d, eax
execute:
  mov edi, r12d
  mov rsi, [rsp + 24]
  lea rdx, [rsp + 24]
  mov rax, [rsp]
  lea r10, [rsp + 8*rax + 16]
  xor r8d, r8d
  mov eax, 322               # execveat
  syscall
  mov edi, 127
  mov eax, 60                # exit
  syscall
open_tree:                   # edx: flags
  mov rdi, -100              # AT_FDCWD
  mov rsi, [rsp + 24]        # the directory: one further, below the return address
  mov eax, 428
  syscall
  ret
empty:
  .balign 8, 0
read_only:                   # struct mount_attr: MOUNT_ATTR_RDONLY
  .quad 1, 0, 0, 0
