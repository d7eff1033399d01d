// Renders chat templates with @huggingface/jinja, the reference: node render.mjs cases.json results.json
// A case is {template, data}; a result is {text} or {error}. Prints the milliseconds that rendering took.
import { readFileSync, writeFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const parsed = new Map();
let total = 0;
const results = JSON.parse(readFileSync(process.argv[2], "utf8")).map(({ template, data }) => {
  try {
    if (!parsed.has(template)) parsed.set(template, new Template(template));
    const start = performance.now();
    const text = parsed.get(template).render(data);
    total += performance.now() - start;
    return { text };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
});
writeFileSync(process.argv[3], JSON.stringify(results));
console.log(total);
