// Reads AsyncAPI documents, a JSON array of texts on the standard input, as AsyncAPI's own parser does. Prints what it
// found, an array of objects: `valid`, the names of the channels, messages and operations that it read, and `problems`.
"use strict";

const { Parser } = require("@asyncapi/parser");

async function judge(parser, text) {
  const { document, diagnostics } = await parser.parse(text);
  const names = (all) => all.map((one) => one.id()).sort();
  return {
    valid: document !== undefined,
    channels: document ? names(document.channels().all()) : [],
    messages: document ? names(document.messages().all()) : [],
    operations: document ? names(document.operations().all()) : [],
    // Severities 0 and 1 are errors and warnings; 2 and 3 are hints.
    problems: diagnostics.filter((one) => one.severity < 2).map((one) => `${one.path.join("/")}: ${one.message}`),
  };
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const parser = new Parser();
  const judged = [];
  for (const text of JSON.parse(Buffer.concat(chunks).toString())) judged.push(await judge(parser, text));
  process.stdout.write(JSON.stringify(judged) + "\n");
}

main().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exitCode = 1;
});
