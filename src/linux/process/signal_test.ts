import assert from "node:assert/strict";
import { parseSignal, signalName } from "./signal.ts";

Deno.test.each([
  { text: "SIGTERM", number: 15 },
  { text: "term", number: 15 },
  { text: "9", number: 9 },
  { text: "0", number: 0 },
  { text: "SIGRTMIN", number: 34 },
  { text: "RTMIN+3", number: 37 },
  { text: "SIGRTMAX-1", number: 63 },
  { text: "SIGPOLL", number: 29 },
  { text: "64", number: 64 },
])("parseSignal($text) is $number", ({ text, number }) => assert.equal(parseSignal(text), number));

Deno.test.each([{ text: "" }, { text: "SIGNOPE" }, { text: "65" }, { text: "-1" }, { text: "RTMAX+1" }, {
  text: "RTMIN-1",
}, {
  text: "toString",
}])(
  "parseSignal($text) is refused",
  ({ text }) => assert.throws(() => parseSignal(text), RangeError),
);

Deno.test("signalName() is read back by parseSignal()", () => {
  for (let number = 1; number <= 64; number++) {
    if (number !== 32 && number !== 33) assert.equal(parseSignal(signalName(number)), number);
  }
  assert.equal(signalName(32), "signal 32");
});
