using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Sluice.Worker.Generation.Scheduling;

namespace Sluice.Worker.Generation;

/// <summary>
/// One text that is generated: its tokens, how many of them are in the key/value cache, and the pieces that its reader
/// has not taken yet. The engine owns it, except for <see cref="Pieces"/> and <see cref="Abandon"/>.
/// </summary>
/// <param name="id">Number of the sequence; later sequences have higher numbers.</param>
/// <param name="prompt">The tokens of the prompt, at least 1.</param>
/// <param name="maxTokens">Maximum number of tokens to generate, at least 1.</param>
/// <param name="sampling">Selects the tokens.</param>
/// <param name="text">Converts the tokens to text.</param>
/// <param name="scope">Keys and values of equal tokens are shared only within one scope.</param>
/// <param name="priority">Sequences with lower numbers are served first.</param>
/// <param name="deadline">Time by which the sequence must have a row, as a timestamp of the stopwatch.</param>
/// <param name="emitted">
/// Tokens after the prompt that another worker generated; null: none. They are read like the prompt.
/// </param>
internal sealed class Sequence(
    long id,
    int[] prompt,
    int maxTokens,
    TokenSampling sampling,
    TextStream text,
    string scope = "",
    int priority = 0,
    long deadline = long.MaxValue,
    IReadOnlyList<int>? emitted = null)
{
    /// <summary>Number of tokens that another worker generated.</summary>
    private readonly int resumed = emitted?.Count ?? 0;

    /// <summary>
    /// All tokens, after the first one is generated. Until then they are those of the prompt, so that a sequence that
    /// waits has no copy.
    /// </summary>
    private List<int>? tokens = emitted is { Count: > 0 } ? [.. prompt, .. emitted] : null;
    private readonly Channel<GeneratedPiece> pieces = Channel.CreateUnbounded<GeneratedPiece>(
        new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private volatile bool abandoned;

    /// <summary>Number of tokens at the beginning that were in a row at any time.</summary>
    private int furthest;
    private int promptRead;
    private GeneratedPiece? last;
    private Exception? error;

    /// <summary>Number of the sequence.</summary>
    public long Id => id;

    /// <summary>The generated pieces. Completed with the error if the generation fails.</summary>
    public ChannelReader<GeneratedPiece> Pieces => pieces.Reader;

    /// <summary>When the text reached its stages.</summary>
    public SequenceTimeline Timeline { get; } = new(Stopwatch.GetTimestamp());

    /// <summary>Number of tokens of the prompt.</summary>
    public int PromptTokens => prompt.Length;

    /// <summary>
    /// Number of tokens that were computed for this text: those of the prompt that were read, without those that were
    /// read again, and the generated ones, without those of another worker.
    /// </summary>
    public int Computed => promptRead + Generated - resumed;

    /// <summary>The usage so far.</summary>
    public GenerationUsage Usage => new(Math.Min(prompt.Length, promptRead + CachedTokens), CachedTokens, Generated);

    /// <summary>Whether the reader of the text stopped.</summary>
    public bool IsAbandoned => abandoned;

    /// <summary>Number of tokens whose keys and values are in the row of the sequence.</summary>
    public int Read { get; private set; }

    /// <summary>Keys and values of equal tokens are shared only within one scope.</summary>
    public string Scope => scope;

    /// <summary>Time by which the sequence must have a row, as a timestamp of the stopwatch.</summary>
    public long Deadline => deadline;

    /// <summary>All tokens: those of the prompt and the generated ones.</summary>
    public ReadOnlySpan<int> Tokens => tokens is null ? prompt : CollectionsMarshal.AsSpan(tokens);

    /// <summary>The tokens whose keys and values are in the row of the sequence.</summary>
    public ReadOnlySpan<int> TokensRead => Tokens[..Read];

    /// <summary>Number of tokens of the prompt that were not read, because another row contained them.</summary>
    public int CachedTokens { get; private set; }

    /// <summary>Whether the prompt is read, so that each step generates a token.</summary>
    public bool Decodes { get; private set; }

    /// <summary>Whether the sequence lost its row, so that tokens are read again.</summary>
    public bool WasPreempted { get; private set; }

    /// <summary>The last token.</summary>
    public int Last => Tokens[^1];

    /// <summary>Number of generated tokens.</summary>
    public int Generated => Tokens.Length - prompt.Length;

    /// <summary>What the plan of a step depends on.</summary>
    public SequenceFacts Facts => new(id, Tokens.Length, Read, priority, Decodes);

    /// <summary>Ends the generation before the next step. Thread-safe.</summary>
    public void Abandon() => abandoned = true;

    /// <summary>Returns the next tokens to read.</summary>
    public ReadOnlySpan<int> Next(int count) => Tokens.Slice(Read, count);

    /// <summary>Records that the sequence got a row that contains some of its tokens.</summary>
    public void OnShared(int count)
    {
        Read = count;
        // After a preemption, the tokens that were read before are not counted again.
        CachedTokens += Math.Max(0, Math.Min(count, prompt.Length) - furthest);
        furthest = Math.Max(furthest, count);
    }

    /// <summary>
    /// Records that the row contains more tokens. Returns how many of them belong to the prompt and were read for the
    /// first time, and how many were read again. Tokens of another worker are read again: it had them in its cache.
    /// </summary>
    public (int Prompt, int Again) OnRead(int count)
    {
        var resumedEnd = prompt.Length + resumed;
        var again = Math.Clamp(furthest - Read, 0, count)
            + Math.Max(0, Math.Min(Read + count, resumedEnd) - Math.Max(Math.Max(Read, furthest), prompt.Length));
        Read += count;
        var fresh = Math.Max(0, Math.Min(Read, prompt.Length) - Math.Max(Read - count, furthest));
        furthest = Math.Max(furthest, Read);
        promptRead += fresh;
        return (fresh, again);
    }

    /// <summary>Records that the sequence lost its row. All its tokens must be read again.</summary>
    public void OnPreempted()
    {
        Read = 0;
        Decodes = false;
        WasPreempted = true;
    }

    /// <summary>Samples the next token, and adds its piece. The last piece is added by <see cref="Close"/>.</summary>
    /// <param name="logits">The logits after the last token.</param>
    /// <returns>Whether the text has ended.</returns>
    public bool Sample(ReadOnlySpan<float> logits)
    {
        Decodes = true;
        var (token, detail) = sampling.Next(logits);
        if (sampling.IsEnd(token)) return Finish(new GeneratedPiece(text.Finish(), Generated, "stop", detail));
        tokens ??= [.. prompt];
        tokens.Add(token);
        var piece = text.Push(token);
        if (text.Stopped || Generated == maxTokens)
            return Finish(new GeneratedPiece(
                piece + text.Finish(), Generated, text.Stopped ? "stop" : "length", detail) { Id = token });
        pieces.Writer.TryWrite(
            new GeneratedPiece(piece, Generated, null, detail) { CachedTokens = CachedTokens, Id = token });
        return false;
    }

    /// <summary>Whether the text ended with an error.</summary>
    public bool HasFailed => error is not null;

    /// <summary>Why the text ended.</summary>
    public GenerationEnd End => HasFailed ? GenerationEnd.Error
        : last is not { } piece ? GenerationEnd.Abort
        : piece.FinishReason == "length" ? GenerationEnd.Length
        : GenerationEnd.Stop;

    /// <summary>Ends the text with an error.</summary>
    public void Fail(Exception reason) => error = reason;

    /// <summary>
    /// Gives the reader the last piece or the error, once the sequence has no row any more. So a reader that has the
    /// whole text knows that it holds no memory.
    /// </summary>
    public void Close()
    {
        if (error is null && last is { } piece) pieces.Writer.TryWrite(piece);
        pieces.Writer.TryComplete(error);
    }

    private bool Finish(GeneratedPiece piece)
    {
        last = piece with { CachedTokens = CachedTokens };
        return true;
    }
}
