namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>Reads <see cref="ToolCallFormat.Hermes"/>.</summary>
/// <param name="createId">Returns the id of a new call.</param>
internal sealed class HermesParser(Func<string> createId) : CallObjectParser(createId)
{
    private const string Open = "<tool_call>";
    private const string Close = "</tool_call>";
    private bool isAfterCall;
    private bool skipsSpace;
    private int callsBefore;

    private protected override bool Read(bool isEnd)
    {
        if (IsInCall)
        {
            if (!ReadCall(Open, isEnd)) return false;
            isAfterCall = Calls > callsBefore;
            return Rest.Length > 0;
        }

        if (isAfterCall && !ReadClose(isEnd)) return false;
        if (skipsSpace) Rest = Rest.TrimStart();
        skipsSpace &= Rest.Length == 0;
        if (ReadTo(OutputDeltaKind.Text, isEnd, Open) is null) return false;
        callsBefore = Calls;
        BeginCall();
        return true;
    }

    // Space around the end of a call is no text.
    private bool ReadClose(bool isEnd)
    {
        var trimmed = Rest.TrimStart();
        var isClosed = trimmed.StartsWith(Close, StringComparison.Ordinal);
        if (!isClosed && !isEnd && Close.StartsWith(trimmed, StringComparison.Ordinal)) return false;
        if (isClosed) Rest = trimmed[Close.Length..];
        isAfterCall = false;
        skipsSpace = true;
        return true;
    }
}
