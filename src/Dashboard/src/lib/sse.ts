/** Server-sent events of a response body, for streams that need a method or a body (an EventSource has neither). */

export interface ServerEvent {
  event: string;
  data: string;
}

/** Splits text into events. Parts of an event stay inside until the rest arrives. */
export class EventParser {
  private rest = "";

  push(text: string): ServerEvent[] {
    this.rest += text;
    const events: ServerEvent[] = [];
    const blocks = this.rest.split(/\r?\n\r?\n/);
    this.rest = blocks.pop() ?? "";
    for (const block of blocks) {
      let [event, data] = ["message", null as string | null];
      for (const line of block.split(/\r?\n/)) {
        const [, name, value] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
        if (name === "event") event = value ?? "";
        if (name === "data") data = data === null ? value ?? "" : `${data}\n${value}`;
      }
      if (data !== null) events.push({ event, data });
    }
    return events;
  }
}

export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new EventParser();
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    yield* parser.push(value);
  }
}
