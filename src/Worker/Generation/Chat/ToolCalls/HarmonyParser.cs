namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>Reads <see cref="ToolCallFormat.Harmony"/>: messages with a channel, at times for a tool.</summary>
/// <param name="createId">Returns the id of a new call.</param>
internal sealed class HarmonyParser(Func<string> createId) : ToolCallParser(createId)
{
    private const string Message = "<|message|>";
    private const string Functions = "to=functions.";
    private const string Recipient = " to=functions.";
    private string? channel;
    private bool isFirst = true;
    private bool isCall;

    private protected override bool Read(bool isEnd) => channel is null ? ReadHeader() : ReadContent(isEnd);

    // <|start|>assistant to=functions.f<|channel|>commentary <|constrain|>json<|message|>, in several orders.
    private bool ReadHeader()
    {
        if (isFirst && Rest.Length > 0 && !StartsLikeHeader())
        {
            // An answer without a header is text.
            channel = "final";
            isFirst = false;
            return true;
        }

        var at = Rest.IndexOf(Message, StringComparison.Ordinal);
        if (at < 0) return false;
        var header = Rest[..at];
        Rest = Rest[(at + Message.Length)..];
        channel = Word(header, "<|channel|>") ?? "final";
        var name = Word(header, Functions);
        isCall = name is not null;
        if (isCall) StartCall(name!);
        isFirst = false;
        return true;
    }

    // The prompt may end with the start of the header.
    private bool StartsLikeHeader() =>
        Rest[0] == '<' ||
        Rest.StartsWith(Recipient, StringComparison.Ordinal) || Recipient.StartsWith(Rest, StringComparison.Ordinal);

    private bool ReadContent(bool isEnd)
    {
        var kind = isCall
            ? OutputDeltaKind.CallArguments
            : channel == "analysis" ? OutputDeltaKind.Reasoning : OutputDeltaKind.Text;
        if (ReadPart(kind, isEnd) is null) return false;
        channel = null;
        return true;
    }

    private string? ReadPart(OutputDeltaKind kind, bool isEnd)
    {
        if (kind != OutputDeltaKind.CallArguments)
            return ReadTo(kind, isEnd, "<|end|>", "<|return|>", "<|call|>", "<|start|>");
        var before = Rest;
        var end = ReadTo(null, isEnd, "<|end|>", "<|return|>", "<|call|>", "<|start|>");
        AddArguments(before[..(before.Length - Rest.Length - (end?.Length ?? 0))]);
        return end;
    }

    private static string? Word(string text, string before)
    {
        var at = text.IndexOf(before, StringComparison.Ordinal);
        if (at < 0) return null;
        var start = at + before.Length;
        var end = start;
        while (end < text.Length && !char.IsWhiteSpace(text[end]) && text[end] != '<') end++;
        return text[start..end];
    }
}
