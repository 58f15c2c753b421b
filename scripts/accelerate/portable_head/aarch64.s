// The head of the portable file: see portable_head.ts for what it does and for the constants behind it.
// portable_head_test.ts assembles this file and compares.
start:                       // sp: argc, argv, 0, environment, 0, auxiliary vector
  ldr x9, [sp]
  add x19, sp, #16           // the arguments after the name
  add x20, x19, x9, lsl #3   // the environment
  mov x9, x20
1: ldr x10, [x9], #8
  cbnz x10, 1b
1: ldp x10, x11, [x9], #16
  cmp x10, #31               // AT_EXECFN
  csel x21, x11, x21, eq
  cmp x10, #12               // AT_EUID
  csel x22, x11, x22, eq
  cbnz x10, 1b

  mov x9, x21
1: mov x10, x9               // behind the last slash
2: ldrb w11, [x9], #1
  cmp w11, #'/'
  b.eq 1b
  cbnz w11, 2b
  adr x23, constants
  add x24, x23, #40          // the form of that name, or the last
form:
  ldr x9, [x24]
  cbz x9, 3f
  mov x11, x10
1: ldrb w12, [x9], #1
  ldrb w13, [x11], #1
  cmp w12, w13
  b.ne 2f
  cbnz w12, 1b
  b 3f
2: add x24, x24, #40
  b form

3: mov x9, x20               // what we set goes out of the environment
  mov x10, x20
variable:
  ldr x11, [x9], #8
  cbz x11, append
  ldr x12, [x24, #8]
2: ldr x13, [x12], #8
  cbz x13, 3f
  mov x14, x11
1: ldrb w15, [x13], #1
  ldrb w16, [x14], #1
  cmp w15, w16
  b.ne 2b
  cmp w15, #'='
  b.ne 1b
  b variable
3: str x11, [x10], #8
  b variable
append:                      // over the auxiliary vector, which is longer
  ldr x9, [x24, #8]
1: ldr x11, [x9], #8
  str x11, [x10], #8
  cbnz x11, 1b
  sub x12, x19, #12288       // the vectors have the 4096 bytes above it
  ldr x9, [x10, #-16]        // the last one ends in our path
  str x12, [x10, #-16]
1: ldrb w11, [x9], #1
  strb w11, [x12], #1
  cbnz w11, 1b
  sub x12, x12, #1
  mov x9, x21
1: ldrb w11, [x9], #1
  strb w11, [x12], #1
  cbnz w11, 1b

  add x25, x24, #24          // the list to start with: the shell
  ldr x26, [x23, #16]        // what must be root's or ours, "/" first
  mov w27, #-1               // root: the owner of "/"
  sub x2, x19, #12288
  sub x2, x2, #256
trust:
  ldr x1, [x26], #8
  cbz x1, trusted
  mov x8, #79                // newfstatat
  mov x0, #-100              // AT_FDCWD
  mov x3, #0x100             // AT_SYMLINK_NOFOLLOW: a link has mode 0777
  svc #0
  cbnz x0, 1f
  ldr w9, [x2, #24]          // st_uid
  cmn w27, #1
  csel w27, w9, w27, eq
  cmp w9, w27
  ccmp w9, w22, #4, ne
  b.ne 1f
  ldr w9, [x2, #16]          // st_mode
  mov w10, #022
  tst w9, w10                // others may write
  b.eq trust
  tbnz w9, #9, trust         // but not exchange what is there: sticky
  b 1f
trusted:
  mov x8, #56                // openat, a failure is ignored
  mov x0, #-100
  ldr x1, [x23]              // the mark
  mov x2, #0x8241            // O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC
  movk x2, #0x8, lsl #16
  mov x3, #0644
  svc #0
  mov x8, #79
  mov x0, #-100
  ldr x1, [x23, #8]          // there if the tree is going
  sub x2, x19, #12288
  sub x2, x2, #256
  mov x3, #0
  svc #0
  cmn x0, #2                 // ENOENT
  b.ne 1f
  mov x0, #0
  mov x1, #9                 // RLIMIT_AS
  mov x3, x2
  mov x2, #0
  mov x8, #261               // prlimit64
  svc #0
  ldr x9, [x3]
  cmn x9, #1                 // RLIM_INFINITY
  b.ne 1f
  sub x25, x25, #8           // Deno
1: ldr x9, [x25], #8
  cbz x9, fail
  mov x1, x19
2: ldr x10, [x9], #8         // from the last to the first
  cbz x10, 3f
  cmp x10, #1                // our path
  csel x10, x21, x10, eq
  str x10, [x1, #-8]!
  b 2b
3: mov x8, #221              // execve
  ldr x0, [x1]
  mov x2, x20
  svc #0
  b 1b
fail:
  mov x8, #64                // write
  mov x0, #2
  ldp x1, x2, [x23, #24]
  svc #0
  mov x8, #94                // exit_group
  mov x0, #1
  svc #0
.balign 8
constants:
