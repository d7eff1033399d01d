/** A request of the playground as a program. The key is read from the environment, so it is in no program. */

export interface Call {
  method: string;
  path: string;
  body?: unknown;
  stream?: boolean;
}

export const LANGUAGES = ["curl", "Python", "JavaScript"] as const;
export type Language = (typeof LANGUAGES)[number];

export function snippet(language: Language, origin: string, call: Call): string {
  return { curl, Python: python, JavaScript: javascript }[language](origin, call);
}

function curl(origin: string, { method, path, body, stream }: Call): string {
  const lines = [`curl -s${stream ? "N" : ""} ${quote(origin + path)}`, '-H "Authorization: Bearer $SLUICE_KEY"'];
  if (method !== "GET" && !(method === "POST" && body !== undefined)) lines[0] += ` -X ${method}`;
  if (body !== undefined) lines.push(`-H 'Content-Type: application/json'`, `-d ${quote(JSON.stringify(body))}`);
  return lines.join(" \\\n  ");
}

function python(origin: string, { method, path, body, stream }: Call): string {
  const lines = [
    "import json, os, urllib.request", "",
    "request = urllib.request.Request(",
    `    ${JSON.stringify(origin + path)}, method=${JSON.stringify(method)},`,
    '    headers={"Authorization": "Bearer " + os.environ["SLUICE_KEY"], "Content-Type": "application/json"},',
  ];
  if (body !== undefined) lines.push(`    data=json.dumps(json.loads(${pythonText(JSON.stringify(body))})).encode(),`);
  lines.push(")", "with urllib.request.urlopen(request) as response:");
  if (stream) lines.push("    for line in response:", "        print(line.decode(), end=\"\")");
  else lines.push("    print(json.load(response))");
  return lines.join("\n");
}

function javascript(origin: string, { method, path, body, stream }: Call): string {
  const lines = [
    `const response = await fetch(${JSON.stringify(origin + path)}, {`,
    `  method: ${JSON.stringify(method)},`,
    '  headers: { Authorization: `Bearer ${process.env.SLUICE_KEY}`, "Content-Type": "application/json" },',
  ];
  if (body !== undefined) lines.push(`  body: JSON.stringify(${JSON.stringify(body)}),`);
  lines.push("});");
  if (stream) lines.push("for await (const part of response.body) process.stdout.write(part);");
  else lines.push("console.log(await response.json());");
  return lines.join("\n");
}

/** A text for a POSIX shell. */
export function quote(text: string): string {
  return /^[\w/:.=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A literal that Python reads as the same text: JSON's escapes are Python's too. */
const pythonText = (text: string) => JSON.stringify(text);
