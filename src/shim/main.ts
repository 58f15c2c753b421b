/** The containerd shim. @module */

/** Runs the shim's command line; see containerd's runtime v2 documentation. */
export async function main(_args: readonly string[]): Promise<number> {
  throw new Error("Cannot run the shim: it is being built");
}
