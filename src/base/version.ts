/** The release, as every mode prints it. @module */

export const VERSION = "0.1.0";

/** In which form it was built: see `scripts/build`. */
export function buildForm(): string {
  return Deno.build.standalone ? "compiled" : Deno.env.get("KATA_FORM") ?? "source";
}

/** One line: the release, its form, and what it runs on. */
export function describeBuild(name: string): string {
  return `${name} ${VERSION} (${buildForm()}, Deno ${Deno.version.deno}, ${Deno.build.target})`;
}
