/** The agent in the guest. @module */

/** Runs the agent until the sandbox is destroyed. */
export async function main(_args: readonly string[]): Promise<number> {
  throw new Error("Cannot run the agent: it is being built");
}
