namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>Reads <see cref="ToolCallFormat.DeepSeek"/>.</summary>
/// <param name="createId">Returns the id of a new call.</param>
internal sealed class DeepSeekParser(Func<string> createId) : ToolCallParser(createId)
{
    private const string CallsBegin = "<｜tool▁calls▁begin｜>";
    private const string CallBegin = "<｜tool▁call▁begin｜>";
    private const string Separator = "<｜tool▁sep｜>";
    private const string CallEnd = "<｜tool▁call▁end｜>";
    private const string CallsEnd = "<｜tool▁calls▁end｜>";
    private const string Fence = "```json\n";
    private Part part;

    private enum Part
    {
        Text,
        Between,
        Type,
        Name,
        Arguments,
    }

    private protected override bool Read(bool isEnd)
    {
        switch (part)
        {
            case Part.Text:
                return Go(ReadTo(OutputDeltaKind.Text, isEnd, CallsBegin) is not null, Part.Between);
            case Part.Between:
                var next = ReadTo(null, isEnd, CallBegin, CallsEnd);
                return Go(next is not null, next == CallBegin ? Part.Type : Part.Text);
            case Part.Type:
                return Go(ReadTo(null, isEnd, Separator) is not null, Part.Name);
            case Part.Name:
                return ReadName();
            default:
                return ReadArguments(isEnd);
        }
    }

    private bool ReadName()
    {
        var end = Rest.IndexOf('\n', StringComparison.Ordinal);
        var isWhole = end >= 0 && Rest.Length >= end + 1 + Fence.Length;
        if (!isWhole) return false;
        StartCall(Rest[..end].Trim());
        Rest = Rest[(end + 1)..];
        if (Rest.StartsWith(Fence, StringComparison.Ordinal)) Rest = Rest[Fence.Length..];
        return Go(true, Part.Arguments);
    }

    private bool ReadArguments(bool isEnd)
    {
        // The end of the code block belongs to the end of the call.
        var end = ReadArgumentsTo("\n```" + CallEnd) || ReadArgumentsTo("```" + CallEnd) || ReadArgumentsTo(CallEnd);
        if (end) return Go(true, Part.Between);
        var kept = isEnd ? 0 : Math.Min(Rest.Length, CallEnd.Length + 4);
        AddArguments(Rest[..^kept]);
        Rest = Rest[^kept..];
        return false;
    }

    private bool ReadArgumentsTo(string marker)
    {
        var at = Rest.IndexOf(marker, StringComparison.Ordinal);
        if (at < 0) return false;
        AddArguments(Rest[..at]);
        Rest = Rest[(at + marker.Length)..];
        return true;
    }

    private bool Go(bool isRead, Part next)
    {
        if (isRead) part = next;
        return isRead;
    }
}
