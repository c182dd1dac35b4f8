// GitHub's own language service as a linter. In: paths of action and workflow files. Out: one line a finding.
// Bundled by script/tools: Node 20 cannot import the package's JSON files as they are.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { validate } from "@actions/languageservice";
import { TextDocument } from "vscode-languageserver-textdocument";

let found = 0;
for (const path of process.argv.slice(2)) {
  const text = readFileSync(path, "utf8");
  const document = TextDocument.create(pathToFileURL(path).href, "yaml", 1, text);
  for (const { message, range } of await validate(document)) {
    console.log(`${path}:${range.start.line + 1}:${range.start.character + 1}: ${message}`);
    found += 1;
  }
}
process.exitCode = found ? 1 : 0;
