/**
 * A program that the kernel asks which socket gets a connection: it steers those to any port of a loopback to one
 * listener per family.
 *
 * @see https://docs.kernel.org/bpf/prog_sk_lookup.html
 * @module
 */
import { bpf, CODE, encodeProgram, type Instruction, loadProgram } from "../bpf/program.ts";
import { Fd } from "../io/fd.ts";
import { addressIn, LITTLE_ENDIAN } from "../ffi/libc.ts";

const BPF_MAP_TYPE_SOCKMAP = 15;
const BPF_PROG_TYPE_SK_LOOKUP = 30;
const BPF_SK_LOOKUP = 36;
/** The immediate of a 64-bit load is a map's descriptor. */
const BPF_PSEUDO_MAP_FD = 1;

/** Offsets in `struct bpf_sk_lookup`. */
const CONTEXT = { family: 8, protocol: 12, ingressInterface: 64 } as const;
const AF_INET = 2;
const IPPROTO_TCP = 6;
/** The loopback is the first link of every network namespace. */
const LOOPBACK_INDEX = 1;

const HELPER = { mapLookup: 1, skRelease: 86, skAssign: 124 } as const;
const SK_PASS = 1;
/** r10 points to the end of the stack; the arguments of calls are r1 to r3, and calls spoil r0 to r5. */
const R = { result: 0, first: 1, second: 2, third: 3, context: 6, socket: 7, stack: 10 } as const;
const KEY_OFFSET = -4;
/** Places in the map. */
const INDEX = { inet: 0, inet6: 1 } as const;

/** Listeners by family; one that is missing gets nothing. */
export type Listeners = { readonly [F in keyof typeof INDEX]?: Fd };

/**
 * Builds a program that answers each TCP connection coming in by the loopback with the socket of its family in a map.
 *
 * @param map Descriptor of the map. @returns `struct bpf_insn[]`
 */
export function steeringProgram(map: number): Uint8Array<ArrayBuffer> {
  const assign: Instruction[] = [
    { code: CODE.STORE_IMMEDIATE_U32, destination: R.stack, offset: KEY_OFFSET, immediate: INDEX.inet },
    { code: CODE.LOAD_U32, destination: R.second, source: R.context, offset: CONTEXT.family },
    { code: CODE.JUMP_IF_EQUAL, destination: R.second, immediate: AF_INET, offset: 1 },
    { code: CODE.STORE_IMMEDIATE_U32, destination: R.stack, offset: KEY_OFFSET, immediate: INDEX.inet6 },
    { code: CODE.LOAD_IMMEDIATE_64, destination: R.first, source: BPF_PSEUDO_MAP_FD, immediate: map },
    { code: 0 },
    { code: CODE.MOVE_REGISTER, destination: R.second, source: R.stack },
    { code: CODE.ADD, destination: R.second, immediate: KEY_OFFSET },
    { code: CODE.CALL, immediate: HELPER.mapLookup },
    { code: CODE.JUMP_IF_EQUAL, destination: R.result, immediate: 0, offset: 7 },
    { code: CODE.MOVE_REGISTER, destination: R.socket, source: R.result },
    { code: CODE.MOVE_REGISTER, destination: R.first, source: R.context },
    { code: CODE.MOVE_REGISTER, destination: R.second, source: R.socket },
    { code: CODE.MOVE, destination: R.third, immediate: 0 },
    { code: CODE.CALL, immediate: HELPER.skAssign },
    { code: CODE.MOVE_REGISTER, destination: R.first, source: R.socket },
    { code: CODE.CALL, immediate: HELPER.skRelease },
  ];
  return encodeProgram([
    { code: CODE.MOVE_REGISTER, destination: R.context, source: R.first },
    { code: CODE.LOAD_U32, destination: R.second, source: R.context, offset: CONTEXT.protocol },
    { code: CODE.JUMP_IF_NOT_EQUAL, destination: R.second, immediate: IPPROTO_TCP, offset: 2 + assign.length },
    { code: CODE.LOAD_U32, destination: R.second, source: R.context, offset: CONTEXT.ingressInterface },
    { code: CODE.JUMP_IF_NOT_EQUAL, destination: R.second, immediate: LOOPBACK_INDEX, offset: assign.length },
    ...assign,
    { code: CODE.MOVE, destination: R.result, immediate: SK_PASS },
    { code: CODE.EXIT },
  ]);
}

/**
 * Gives all TCP connections to a network namespace's loopback to listeners in it, until disposed; the kernel itself ends
 * that as well when this process ends.
 *
 * @param netns The namespace's file.
 * @throws {ErrnoError} EPERM without CAP_BPF and CAP_NET_ADMIN; EINVAL: the kernel is older than 5.9, or built without.
 */
export function steerLoopback(netns: Fd, listeners: Listeners): Disposable {
  using undo = new DisposableStack();
  using map = socketMap(listeners);
  using program = loadProgram(steeringProgram(map.number), {
    type: BPF_PROG_TYPE_SK_LOOKUP,
    attachType: BPF_SK_LOOKUP,
  });
  // The link keeps the program, and the program its map. u32 program, target, attach type, flags.
  undo.use(new Fd(bpf("LINK_CREATE", Uint32Array.of(program.number, netns.number, BPF_SK_LOOKUP, 0))));
  return undo.move();
}

function socketMap(listeners: Listeners): Fd {
  using undo = new DisposableStack();
  const [keySize, valueSize, entries] = [4, 8, Object.keys(INDEX).length];
  const map = undo.use(new Fd(bpf("MAP_CREATE", Uint32Array.of(BPF_MAP_TYPE_SOCKMAP, keySize, valueSize, entries, 0))));
  for (const family of ["inet", "inet6"] as const) {
    const socket = listeners[family];
    if (socket !== undefined) putSocket(map, INDEX[family], socket);
  }
  undo.move();
  return map;
}

function putSocket(map: Fd, index: number, socket: Fd): void {
  // u32 map; u64 key, value, flags. Key and value themselves stand behind, past the part of bpf_attr the kernel reads.
  const whole = new Uint8Array(48);
  const view = new DataView(whole.buffer);
  const [keyOffset, valueOffset] = [32, 40];
  view.setUint32(0, map.number, LITTLE_ENDIAN);
  view.setBigUint64(8, addressIn(whole, keyOffset), LITTLE_ENDIAN);
  view.setBigUint64(16, addressIn(whole, valueOffset), LITTLE_ENDIAN);
  view.setUint32(keyOffset, index, LITTLE_ENDIAN);
  view.setBigUint64(valueOffset, BigInt(socket.number), LITTLE_ENDIAN);
  bpf("MAP_UPDATE_ELEM", whole, keyOffset);
}
