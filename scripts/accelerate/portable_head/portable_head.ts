/**
 * The head of the portable file: a static executable. Each start of runk, of the shim and of the tools pays for it, and a
 * shell would take two thirds of a millisecond more. Its source is `portable_head/x86_64.s` and
 * `portable_head/aarch64.s`; in words:
 *
 * ```text
 * file = the path that it was called by (AT_EXECFN; in a script that would be $0)
 * form = the one for the base name of file, or the last
 * remove the form's variables from the environment, and append them
 * append file to the last one, KATA_ARGV0
 * unless somebody can exchange the tree who is neither root nor we:
 *   mark the tree as used
 *   unless it is going, or our address space has a limit: execve(form.direct)
 * execve(form.shell)         unpacks the tree, waits for it, takes another, or says why not: see portable_head.sh
 * write(complaint); exit_group(1)
 * ```
 *
 * The stack is all the memory that it writes to: the arguments stay where they are, with others put before them; the
 * environment stays as well, and grows over the auxiliary vector.
 *
 * What it looks at before it runs anything: each directory from `/` to the tree, and the programs in it. Each belongs to
 * the owner of `/`, which is root, or to the caller; nobody else may write to it, or in a directory with the sticky bit not
 * exchange what is there; none is a link.
 *
 * @module
 */
import type { Architecture } from "../../../src/linux/child_program/syscall_numbers.ts";
import { hasTrick } from "../switches.ts";
import { v8Flags } from "../v8_flags/v8_flags.ts";
import { CODE_ADDRESS, type Constant, Constants, linkElf, uint64 } from "../elf.ts";
import { concat } from "../../guest/cpio.ts";

const CODE = {
  x86_64: "488b0c244c8d6424104c8d6ccc104c89ee48ad4885c075f948ad488b164883c6084883f81f4c0f44f24883f80c4c0f44" +
    "fa4885c075e24c89f64889f7ac3c2f74f884c075f7488d1d8c010000488d6b28488b75004885f674174889faac3a0275" +
    "0948ffc284c075f4eb064883c528ebe04c89ee4c89ef48ad4885c0742d4c8b4508498b084983c0084885c974194889c2" +
    "448a09443a0a75e948ffc148ffc24180f93d75ecebd048abebcc488b750848ad48ab4885c075f7498d942400d0ffff48" +
    "8b77f0488957f04889d7acaa84c075fa48ffcf4c89f6acaa84c075fa4c8d45184c8b4b10bdffffffffbf9cffffff498d" +
    "942400cfffff498b314983c1084885f6743241ba00010000b8060100000f054885c0756e8b421c83fdff0f44e839e874" +
    "054439f8755c8b4218a81274c9f6c40275c4eb4eb801010000488b33ba41020a0041baa40100000f05b806010000488b" +
    "7308498d942400cfffff4531d20f054883f8fe751d4989d231d231ffbe09000000b82e0100000f0549833aff75044983" +
    "e808498b304983c0084885f674284c89e448ad4885c0740b4883f801490f44c650ebeeb83b000000488b3c244889e64c" +
    "89ea0f05ebccb801000000bf02000000488b7318488b53200f05b8e7000000bf010000000f056690",
  aarch64: "e90340f9f3430091740e098be90314aa2a8540f8eaffffb52a2dc1a85f7d00f17501959a5f3100f17601969a6affffb5" +
    "e90315aaea0309aa2b1540387fbd0071a0ffff54abffff35970e0010f8a20091090340f9490100b4eb030aaa2c154038" +
    "6d1540389f010d6b610000548cffff350300001418a30091f6ffff17e90314aaea0314aa2b8540f8cb0100b40c0740f9" +
    "8d8540f82d0100b4ee030baaaf154038d0154038ff01106b41ffff54fff5007161ffff54f4ffff174b8500f8f2ffff17" +
    "090740f92b8540f84b8500f8cbffffb56c0e40d149015ff84c011ff82b1540388b150038cbffff358c0500d1e90315aa" +
    "2b1540388b150038cbffff3519630091fa0a40f91b008012620e40d1420004d1418740f8410200b4e80980d2600c8092" +
    "032080d2010000d4e00400b5491840b97f0700313b019b1a3f011b6b2411567a21040054491040b94a0280523f010a6a" +
    "00feff54e9fd4f371b000014080780d2600c8092e10240f9224890d20201a0f2833480d2010000d4e80980d2600c8092" +
    "e10640f9620e40d1420004d1030080d2010000d41f0800b161010054000080d2210180d2e30302aa020080d2a82080d2" +
    "010000d4690040f93f0500b141000054392300d1298740f8a90100b4e10313aa2a8540f8aa0000b45f0500f1aa028a9a" +
    "2a8c1ff8fbffff17a81b80d2200040f9e20314aa010000d4f3ffff17080880d2400080d2e18a41a9010000d4c80b80d2" +
    "200080d2010000d4",
} as const satisfies Record<Architecture, string>;

/** The machine code of the head: the constants begin right behind it. */
export function headCode(architecture: Architecture): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(CODE[architecture]);
}

/**
 * Forms that the names choose: the program's file in the tree, what starts Deno, its arguments for V8. The last is for
 * all other names.
 */
const FORMS = [
  {
    name: "runk",
    program: "runk",
    // Containers get to see the program: see launcher.ts.
    deno: (tree: string) => [`${tree}/launcher`, tree, "deno"],
    v8: v8Flags("runk"),
  },
  { name: 0, program: "main", deno: (tree: string) => [`${tree}/deno`], v8: [] },
] as const;

/** Stands for the path of the file in a list of arguments. */
const FILE = 1;

const COMPLAINT = "kata: Cannot run /bin/sh, which unpacks the program\n";
const LENGTH_MARK = "@HEAD_BYTES@";

export interface PortableHead {
  architecture: Architecture;
  /** Where the file is unpacked to. */
  tree: string;
  /** Words of Deno's command line before the program's file. */
  denoFlags: readonly string[];
  /** For `sh -c`; its `$1` is the program's name, its `$2` Deno's arguments before the program's file, in one word. */
  script: string;
}

/** @returns What the payload of the file is to follow. In the script, `@HEAD_BYTES@` becomes the payload's place for `tail -c`. */
export function portableHead(head: PortableHead): Uint8Array<ArrayBuffer> {
  const place = String(link(head).length + 1).padStart(LENGTH_MARK.length, "0");
  return link({ ...head, script: head.script.replace(LENGTH_MARK, place) });
}

function link(head: PortableHead): Uint8Array<ArrayBuffer> {
  const code = headCode(head.architecture);
  const table = tableOf(head);
  const constants = new Constants(CODE_ADDRESS + BigInt(code.length + 8 * table.length));
  const pointers = table.map((constant) => uint64(constants.place(constant)));
  return linkElf(head.architecture, concat([code, ...pointers, constants.bytes()]));
}

/** The directories on the way, from `/` on, and what is run of those in the last one. */
function trusted(tree: string, programs: readonly string[]): string[] {
  const names = tree.split("/").slice(1);
  const directories = names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
  return ["/", ...directories, ...programs.map((name) => `${tree}/${name}`)];
}

/**
 * Table that the code finds by offsets: five words, then five for each form. Arguments go from the last to the first.
 */
function tableOf({ tree, denoFlags, script }: PortableHead): Constant[] {
  const forms = FORMS.flatMap(({ name, program, deno, v8 }): Constant[] => {
    const flags = ["run", "--quiet", ...denoFlags, ...v8];
    const environment = [
      `DENO_DIR=${tree}/cache/${program}`,
      "DENO_NO_UPDATE_CHECK=1",
      "KATA_FORM=portable",
      "KATA_ARGV0=",
    ];
    const direct = [...deno(tree), ...flags, `${tree}/${program}.js`];
    const shell = ["/bin/sh", "-c", script, FILE, program, flags.join(" ")];
    return [name, environment, direct.toReversed(), shell.toReversed(), 0];
  });
  const list = trusted(tree, ["deno", "launcher", "main.js", "runk.js"]);
  return [`${tree}/used`, `${tree}/going`, list, COMPLAINT, COMPLAINT.length, ...forms];
}

/** Text of it as a shell script, which it then is from its first byte on. */
export function plainHead({ denoFlags, script }: Pick<PortableHead, "denoFlags" | "script">): Uint8Array<ArrayBuffer> {
  const forms = FORMS.map(({ name, program, v8 }) => {
    return `  ${name || "*"}) set -- ${program} '${["run", "--quiet", ...denoFlags, ...v8].join(" ")}' "$@" ;;\n`;
  });
  const head = `#!/bin/sh\nexport DENO_NO_UPDATE_CHECK=1 KATA_FORM=plain KATA_ARGV0="$0"\n` +
    `case \${0##*/} in\n${forms.join("")}esac\n${script}`;
  const bytes = new TextEncoder().encode(head);
  const place = String(bytes.length + 1).padStart(LENGTH_MARK.length, "0");
  return new TextEncoder().encode(head.replace(LENGTH_MARK, place));
}

async function main([architecture, digest, denoFlags, output]: string[]): Promise<void> {
  const script = await Deno.readTextFile(new URL("portable_head.sh", import.meta.url));
  const head: PortableHead = {
    architecture: architecture as Architecture,
    tree: `/var/cache/kata/${digest}`,
    denoFlags: denoFlags!.split(" "),
    script: script.replaceAll("@DIGEST@", digest!).replace("@DENO_FLAGS@", denoFlags!),
  };
  await Deno.writeFile(output!, hasTrick("portable_head") ? portableHead(head) : plainHead(head));
}

if (import.meta.main) await main([...Deno.args]);
