namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>
/// Reads <see cref="ToolCallFormat.Llama"/> and <see cref="ToolCallFormat.Gemma"/>: an answer that starts with a JSON
/// object with a name is a call, also in a code block; several have semicolons or line breaks between them.
/// </summary>
/// <param name="createId">Returns the id of a new call.</param>
internal sealed class JsonAnswerParser(Func<string> createId) : CallObjectParser(createId)
{
    private static readonly string[] Openings =
        ["<|python_tag|>", "```tool_code", "```tool_call", "```json", "```"];

    private string opening = "";
    private int callsBefore;
    private bool isText;

    private protected override bool Read(bool isEnd)
    {
        if (IsInCall)
        {
            if (!ReadCall(opening, isEnd)) return false;
            isText = Calls == callsBefore;
            opening = "";
            return Rest.Length > 0;
        }

        if (isText)
        {
            Add(OutputDeltaKind.Text, Rest);
            Rest = "";
            return false;
        }

        return ReadOpening(isEnd);
    }

    private bool ReadOpening(bool isEnd)
    {
        var trimmed = Calls > 0 ? Rest.TrimStart(' ', '\n', '\r', '\t', ';', '`') : Rest.TrimStart();
        foreach (var candidate in Openings)
        {
            if (trimmed.StartsWith(candidate, StringComparison.Ordinal))
            {
                opening += Rest[..(Rest.Length - trimmed.Length)] + candidate;
                Rest = trimmed[candidate.Length..];
                return true;
            }

            if (!isEnd && candidate.StartsWith(trimmed, StringComparison.Ordinal)) return false;
        }

        if (trimmed.Length == 0 && !isEnd) return false;
        if (trimmed.StartsWith('{'))
        {
            opening += Rest[..(Rest.Length - trimmed.Length)];
            Rest = trimmed;
            callsBefore = Calls;
            BeginCall();
            return true;
        }

        isText = true;
        // After a call, the end of its code block is no text.
        Rest = Calls > 0 ? trimmed : opening + Rest;
        return Rest.Length > 0;
    }
}
