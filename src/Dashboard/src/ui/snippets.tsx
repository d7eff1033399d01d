import { useState } from "preact/hooks";
import { LANGUAGES, snippet, type Call, type Language } from "../lib/snippets";
import { Card, Segments, Snippet } from "./parts";

/** The request as a program, in the language that the person chooses. */
export function Snippets({ call }: { call: Call }) {
  const [language, setLanguage] = useState<Language>("curl");
  return (
    <Card title="Copy as" actions={
      <Segments label="Language" options={LANGUAGES.map((l) => [l, l] as const)} value={language}
        onChange={(l) => setLanguage(l as Language)} />
    }>
      <div class="card-body snippets">
        <Snippet text={snippet(language, location.origin, call)} label={`Copy as ${language}`} />
      </div>
    </Card>
  );
}
