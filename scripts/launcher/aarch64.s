// The launcher: see launcher.ts for what it does. launcher_test.ts assembles this and compares.
start:                       // sp: argc, launcher, directory, name, ..., 0, environment
  mov x0, #-100              // AT_FDCWD
  ldr x1, [sp, #16]
  mov x2, #1                 // OPEN_TREE_CLONE
  movk x2, #8, lsl #16       // OPEN_TREE_CLOEXEC
  mov x8, #428               // open_tree
  svc #0
  tbnz x0, #63, unsealed
  mov x19, x0
  adr x1, empty
  mov x2, #0x1000            // AT_EMPTY_PATH
  adr x3, read_only
  mov x4, #32
  mov x8, #442               // mount_setattr
  svc #0
  b execute
unsealed:
  mov x0, #-100
  ldr x1, [sp, #16]
  mov x2, #0x80000           // OPEN_TREE_CLOEXEC
  mov x8, #428
  svc #0
  mov x19, x0
execute:
  mov x0, x19
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
empty:
  .balign 8, 0
read_only:                   // struct mount_attr: MOUNT_ATTR_RDONLY
  .quad 1, 0, 0, 0
