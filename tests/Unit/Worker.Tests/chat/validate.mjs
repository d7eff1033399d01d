// Validates values with JSON schemas: node validate.mjs cases.json. A case is {schema, text}.
// Prints the cases that do not validate, one a line.
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";

JSON.parse(readFileSync(process.argv[2], "utf8")).forEach(({ schema, text }, i) => {
  const validate = new Ajv2020.default({ strict: false }).compile(schema);
  try {
    if (!validate(JSON.parse(text))) console.log(`${i}: ${JSON.stringify(validate.errors)} ${JSON.stringify(schema)} ${text}`);
  } catch (error) {
    console.log(`${i}: ${error.message} ${text}`);
  }
});
