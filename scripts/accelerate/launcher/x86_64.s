# The launcher: see launcher.ts for what it does. launcher_test.ts assembles this and compares.
.intel_syntax noprefix
start:                       # rsp: argc, launcher, directory, name, ..., 0, environment
  lea rsi, [rip + slash]
  call sealed_mount
  test eax, eax
  js unsealed
  mov edi, eax
  mov rsi, [rsp + 16]
  inc rsi                    # the directory, from the root on
  lea rdx, [rip + below]
  mov r10d, 24
  mov eax, 437               # openat2
  syscall
  test eax, eax
  jns execute
  mov rsi, [rsp + 16]
  call sealed_mount
  test eax, eax
  jns execute
unsealed:
  mov rsi, [rsp + 16]
  mov edx, 0x80000           # OPEN_TREE_CLOEXEC
  call open_tree
execute:
  mov edi, eax
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
sealed_mount:                # rsi: path; a descriptor in eax, or a negative errno
  mov edx, 0x80001           # OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC
  call open_tree
  test eax, eax
  js done
  mov r12d, eax
  mov edi, eax
  lea rsi, [rip + empty]
  mov edx, 0x1000            # AT_EMPTY_PATH
  lea r10, [rip + read_only]
  mov r8d, 32
  mov eax, 442               # mount_setattr
  syscall
  mov eax, r12d
done:
  ret
open_tree:                   # rsi: path, edx: flags
  mov rdi, -100              # AT_FDCWD
  mov eax, 428
  syscall
  ret
slash:
  .ascii "/"
empty:
  .balign 8, 0
read_only:                   # struct mount_attr: MOUNT_ATTR_RDONLY
  .quad 1, 0, 0, 0
below:                       # struct open_how: O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_BENEATH
  .quad 0x290000, 0, 8
