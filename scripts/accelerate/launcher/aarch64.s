// The launcher: see launcher.ts for what it does. launcher_test.ts assembles this and compares.
start:                       // sp: argc, launcher, directory, name, ..., 0, environment
  adr x1, slash
  bl sealed_mount
  tbnz x0, #63, unsealed
  ldr x1, [sp, #16]
  add x1, x1, #1             // the directory, from the root on
  adr x2, below
  mov x3, #24
  mov x8, #437               // openat2
  svc #0
  tbz x0, #63, execute
  ldr x1, [sp, #16]
  bl sealed_mount
  tbz x0, #63, execute
unsealed:
  ldr x1, [sp, #16]
  mov x2, #0x80000           // OPEN_TREE_CLOEXEC
  bl open_tree
execute:
  ldr x1, [sp, #24]
  add x2, sp, #24
  ldr x3, [sp]
  add x3, sp, x3, lsl #3
  add x3, x3, #16
  mov x4, #0
  mov x8, #281               // execveat
  svc #0
  mov x0, #127
  mov x8, #93                // exit
  svc #0
sealed_mount:                // x1: path; a descriptor in x0, or a negative errno
  mov x20, x30
  mov x2, #1                 // OPEN_TREE_CLONE
  movk x2, #8, lsl #16       // OPEN_TREE_CLOEXEC
  bl open_tree
  tbnz x0, #63, done
  mov x19, x0
  adr x1, empty
  mov x2, #0x1000            // AT_EMPTY_PATH
  adr x3, read_only
  mov x4, #32
  mov x8, #442               // mount_setattr
  svc #0
  mov x0, x19
done:
  ret x20
open_tree:                   // x1: path, x2: flags
  mov x0, #-100              // AT_FDCWD
  mov x8, #428
  svc #0
  ret
slash:
  .ascii "/"
empty:
  .balign 8, 0
read_only:                   // struct mount_attr: MOUNT_ATTR_RDONLY
  .quad 1, 0, 0, 0
below:                       // struct open_how: O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_BENEATH
  .quad 0x284000, 0, 8
