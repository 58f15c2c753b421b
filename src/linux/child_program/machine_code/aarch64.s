// The spawner's routine: see machine_code.ts for the memory it walks.
// machine_code_test.ts assembles this file and compares.
start:                       // x0: program; 0 as the entry of an executable of its own, which has all registers zero
  cbz x0, entry
  stp x29, x30, [sp, #-48]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  mov x19, x0
  ldp x20, x21, [x19, #16]   // the parent's steps before
  bl walk
  neg x22, x0
  cbnz x0, after
  ldp x0, x1, [x19]
  mov x8, #435               // clone3
  svc #0
  cbz x0, child
  mov x22, x0
after:
  ldp x20, x21, [x19, #48]   // the parent's steps after
  bl walk
  mov x0, x22                // pid or -errno
  ldp x21, x22, [sp, #32]
  ldp x19, x20, [sp, #16]
  ldp x29, x30, [sp], #48
  ret
child:
  ldp x20, x21, [x19, #32]   // the child's steps
  bl walk
  cbz x0, quit
  ldp x20, x21, [x19, #88]   // the steps that tell of a failure
  bl walk
  mov x0, #127
quit:
  mov x8, #94                // exit_group
  svc #0
  udf #0                     // a filter has forbidden it
entry:
  mov x19, #0x410000         // the program that maps the other one
  ldp x20, x21, [x19, #32]
  bl walk
  ldr x19, [x19]             // which is that one
  b child
walk:                        // x20: step, x21: end
  cmp x20, x21
  b.hs finished
  ldp x8, x0, [x20]
  ldp x1, x2, [x20, #16]
  ldp x3, x4, [x20, #32]
  ldp x5, x9, [x20, #48]     // x9: flags
  tbz x9, #8, 1f             // bit 8 + i: argument i is the address of its value
  ldr x0, [x0]
1: tbz x9, #9, 1f
  ldr x1, [x1]
1: tbz x9, #10, 1f
  ldr x2, [x2]
1: tbz x9, #11, 1f
  ldr x3, [x3]
1: tbz x9, #12, 1f
  ldr x4, [x4]
1: tbz x9, #13, 1f
  ldr x5, [x5]
1: svc #0
  ldp x10, x11, [x20, #64]   // x10: up to eight errnos to ignore, x11: where the result goes
  ldp w12, w13, [x20, #80]   // steps to skip on an ignored failure, on success
  cbz x11, 1f
  str x0, [x11]
1: cmn x0, #4095
  b.hs failed
  cbnz x0, next
  tbz x9, #1, next           // bit 1: a result of 0 is a failure
  mov x0, #-32               // EPIPE
failed:
  neg x0, x0
  mov w13, w12
  tbnz x9, #0, next          // bit 0: ignore every errno
1: and x14, x10, #255
  cbz x14, fatal
  cmp x14, x0
  b.eq next
  lsr x10, x10, #8
  b 1b
next:
  mov x14, #88
  madd x20, x13, x14, x20
  add x20, x20, #88
  b walk
fatal:
  stp x20, x0, [x19, #64]    // the step that failed, and its errno
  ret
finished:
  mov x0, #0
  ret
