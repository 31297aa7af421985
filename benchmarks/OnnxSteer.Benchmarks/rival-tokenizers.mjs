// The Rust library as npm's @anush008/tokenizers has it, one thread; TokenizerBenchmark.cs talks to it line by line.
// Answers each command with the milliseconds that the library took, then, where there are ids, how many and their hash.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const { Tokenizer } = createRequire(process.argv[2] + "/")("@anush008/tokenizers");
let tokenizer, text, lines, ids, idLines;

const hash = numbers => {
  let h = 2166136261;
  for (const n of numbers) h = Math.imul(h ^ n, 16777619) >>> 0;
  return h;
};
const commands = {
  load: file => {
    tokenizer = Tokenizer.fromFile(file);
    tokenizer.disableTruncation();
    tokenizer.disablePadding();
  },
  text: file => {
    text = readFileSync(file, "utf8");
    lines = text.split("\n");
  },
  encode: async () => (commands.made = [await tokenizer.encode(text)]),
  "encode-lines": async () => (commands.made = await tokenizer.encodeBatch(lines)),
  decode: async () => await tokenizer.decode(ids, true),
  "decode-lines": async () => await tokenizer.decodeBatch(idLines, true),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, argument] = line.split("\t");
  const start = performance.now();
  await commands[name](argument);
  const took = performance.now() - start;
  let more = "";
  if (name.startsWith("encode")) {
    const made = commands.made.map(encoding => encoding.getIds());
    if (name === "encode") ids = made[0];
    else idLines = made;
    more = ` ${made.reduce((sum, row) => sum + row.length, 0)} ${hash(made.flat())}`;
    commands.made = undefined;
  }
  console.log(took + more);
}
