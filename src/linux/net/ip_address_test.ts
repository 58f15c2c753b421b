import assert from "node:assert/strict";
import fc from "fast-check";
import { formatCidr, formatIp, formatMac, ipFamily, parseCidr, parseIp, parseMac } from "./ip_address.ts";

Deno.test("parseIp() undoes formatIp()", () => {
  const addresses = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes)),
  );
  fc.assert(fc.property(addresses, (bytes) => assert.deepEqual([...parseIp(formatIp(bytes))], [...bytes])));
});

Deno.test.each([
  { text: "::", normal: "::" },
  { text: "::1", normal: "::1" },
  { text: "FE80:0:0:0:0:0:0:1", normal: "fe80::1" },
  { text: "2001:db8:0:0:1:0:0:1", normal: "2001:db8::1:0:0:1" },
  { text: "2001:db8:0:1:1:1:1:1", normal: "2001:db8:0:1:1:1:1:1" },
  { text: "::ffff:10.0.0.1", normal: "::ffff:10.0.0.1" },
  { text: "64:ff9b::10.0.0.1", normal: "64:ff9b::a00:1" },
  { text: "1:2:3:4:5:6:7::", normal: "1:2:3:4:5:6:7:0" },
  { text: "10.88.0.2", normal: "10.88.0.2" },
])("formatIp(parseIp($text)) is $normal", ({ text, normal }) => assert.equal(formatIp(parseIp(text)), normal));

Deno.test.each([
  { text: "" },
  { text: "10.0.0" },
  { text: "10.0.0.256" },
  { text: "1::2::3" },
  { text: "1:2:3:4:5:6:7" },
  { text: "1:2:3:4:5:6:7:8:9" },
  { text: "1:2:3:4:5:6:7::8" },
  { text: "fe80::1%eth0" },
  { text: "12345::" },
  { text: ":1" },
])("parseIp($text) is refused", ({ text }) => assert.throws(() => parseIp(text), SyntaxError));

Deno.test("parseCidr() takes a host without prefix and refuses one too long", () => {
  assert.equal(formatCidr(parseCidr("10.0.0.1")), "10.0.0.1/32");
  assert.equal(formatCidr(parseCidr("fd00::/8")), "fd00::/8");
  assert.throws(() => parseCidr("10.0.0.0/33"), { message: 'Cannot parse IP prefix of "10.0.0.0/33"' });
  assert.throws(() => parseCidr("10.0.0.0/"), SyntaxError);
});

Deno.test("parseMac() takes both separators and any length", () => {
  assert.equal(formatMac(parseMac("02-42-AC-11-00-02")), "02:42:ac:11:00:02");
  assert.equal(parseMac("00:00:00:00:fe:80:00:00").length, 8);
  assert.throws(() => parseMac("02:42:ac:11:00:2"), SyntaxError);
});

Deno.test("ipFamily() goes by the text", () => {
  assert.equal(ipFamily("10.0.0.0/8"), "inet");
  assert.equal(ipFamily("::/0"), "inet6");
});
