namespace Sluice.Worker.Generation.Chat.ToolCalls;

/// <summary>
/// Separates an answer of a model into text and calls of tools, while it is generated. Special tokens that belong to
/// the format must be in the text. Text that does not have the format stays text. One for each answer.
/// </summary>
/// <param name="createId">Returns the id of a new call.</param>
public abstract class ToolCallParser(Func<string> createId)
{
    private List<OutputDelta> deltas = [];
    private int calls;

    /// <summary>The number of calls so far.</summary>
    public int Calls => calls;

    /// <summary>What was not read yet.</summary>
    private protected string Rest { get; set; } = "";

    /// <summary>Reads more of the answer. Text that may be the start of a call is kept back.</summary>
    /// <returns>What is certain now.</returns>
    public IReadOnlyList<OutputDelta> Append(string text)
    {
        Rest += text;
        return Run(isEnd: false);
    }

    /// <summary>Ends the answer.</summary>
    /// <returns>What was kept back.</returns>
    public IReadOnlyList<OutputDelta> Complete() => Run(isEnd: true);

    /// <summary>Reads a part of <see cref="Rest"/>.</summary>
    /// <param name="isEnd">Whether the answer has ended.</param>
    /// <returns>Whether more can be read.</returns>
    private protected abstract bool Read(bool isEnd);

    /// <summary>
    /// Reads up to the first of some markers. Without one, it reads everything that cannot be the start of a marker.
    /// </summary>
    /// <param name="kind">What the text before the marker is; null: it is discarded.</param>
    /// <param name="isEnd">Whether the answer has ended.</param>
    /// <param name="markers">The markers.</param>
    /// <returns>The marker, which is read too; null: there is none yet.</returns>
    private protected string? ReadTo(OutputDeltaKind? kind, bool isEnd, params ReadOnlySpan<string> markers)
    {
        var (at, found) = (Rest.Length, (string?)null);
        foreach (var marker in markers)
        {
            var index = Rest.IndexOf(marker, StringComparison.Ordinal);
            if (index >= 0 && index < at) (at, found) = (index, marker);
        }

        if (found is null && !isEnd)
            foreach (var marker in markers)
                at = Math.Min(at, Rest.Length - PartialLength(marker));
        if (kind is { } k) Add(k, Rest[..at]);
        Rest = Rest[(at + (found?.Length ?? 0))..];
        return found;
    }

    /// <summary>Adds text of a kind.</summary>
    private protected void Add(OutputDeltaKind kind, string text)
    {
        if (text.Length > 0) deltas.Add(new OutputDelta(kind, text));
    }

    /// <summary>Adds a new call.</summary>
    private protected void StartCall(string name) =>
        deltas.Add(new OutputDelta(OutputDeltaKind.CallStart, "", calls++, createId(), name));

    /// <summary>Adds a piece of the arguments of the last call.</summary>
    private protected void AddArguments(string piece)
    {
        if (piece.Length > 0) deltas.Add(new OutputDelta(OutputDeltaKind.CallArguments, piece, calls - 1));
    }

    private List<OutputDelta> Run(bool isEnd)
    {
        deltas = [];
        while (Read(isEnd))
        {
        }

        return deltas;
    }

    // The length of the longest start of a marker at the end.
    private int PartialLength(string marker)
    {
        for (var length = Math.Min(marker.Length - 1, Rest.Length); length > 0; length--)
            if (Rest.AsSpan(Rest.Length - length).SequenceEqual(marker.AsSpan(0, length)))
                return length;
        return 0;
    }
}
