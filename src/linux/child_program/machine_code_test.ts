import { machineCode } from "./machine_code.ts";
import { testAssembly } from "./testing/assembler.ts";

testAssembly("machineCode", { sources: new URL("machine_code/", import.meta.url), bytes: machineCode });
