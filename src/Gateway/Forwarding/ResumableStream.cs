using System.Buffers;
using System.Diagnostics;

namespace Sluice.Gateway.Forwarding;

/// <summary>
/// What the gateway keeps of a stream of generated text, so that another worker can continue it if its worker is lost:
/// the marks of the parts that the client has. They are opaque; only workers read them. Not thread-safe.
/// </summary>
/// <param name="announced">The worker's value of <see cref="Header"/>.</param>
/// <param name="canResume">Whether the gateway can send the request again.</param>
public sealed class ResumableStream(string announced, bool canResume) : IDisposable
{
    /// <summary>
    /// Of a request to a worker: <c>1</c> asks for marks; the value of an earlier response asks for the rest of its
    /// stream. Of a response: the stream has marks. Clients can neither send nor receive the header.
    /// </summary>
    public const string Header = "X-Sluice-Resume";

    /// <summary>Number of bytes of the marks, which precede the body of a request for the rest of a stream.</summary>
    public const string MarksHeader = "X-Sluice-Resume-Marks";

    /// <summary>Maximum length of the header of a worker.</summary>
    public const int MaxAnnouncedLength = 512;

    /// <summary>
    /// Maximum number of bytes of marks. A token has 2 to 12 bytes. A stream with more cannot be continued, and is
    /// otherwise not affected.
    /// </summary>
    public const int MaxMarksBytes = 1 << 20;

    private const int FirstRent = 1024;

    private byte[] marks = [];
    private int length;

    /// <summary>
    /// Returns whether requests to a path of a worker generate text. They change nothing, so they can be repeated.
    /// </summary>
    public static bool IsServedAt(ReadOnlySpan<char> path) => path is "/v1/chat/completions" or "/v1/completions";

    /// <summary>The worker's value of <see cref="Header"/>.</summary>
    public string Announced => announced;

    /// <summary>Whether another worker can continue the stream.</summary>
    public bool CanResume { get; private set; } = canResume;

    /// <summary>Whether the client has the end of the stream.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Number of parts that the client has.</summary>
    public int Parts { get; private set; }

    /// <summary>When the first part was sent, as a timestamp; null: none was.</summary>
    public long? FirstAt { get; private set; }

    /// <summary>Why the worker's response ended early; null: it did not.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>The marks, with a space after each.</summary>
    public ReadOnlyMemory<byte> Marks => marks.AsMemory(0, length);

    /// <summary>Records a part whose events are sent to the client.</summary>
    public void Add(ReadOnlySequence<byte> mark)
    {
        Parts++;
        FirstAt ??= Stopwatch.GetTimestamp();
        if (!CanResume) return;
        var size = (int)mark.Length;
        if (length + size + 1 > MaxMarksBytes)
        {
            CanResume = false;
            Dispose();
            return;
        }

        if (length + size + 1 > marks.Length) Grow(length + size + 1);
        mark.CopyTo(marks.AsSpan(length));
        marks[length + size] = (byte)' ';
        length += size + 1;
    }

    /// <summary>Records that the client has the end.</summary>
    public void End() => HasEnded = true;

    /// <summary>Records that the worker's response ended early.</summary>
    public void Fail(Exception why) => Failure = why;

    /// <summary>Records that another worker continues the stream.</summary>
    public void Restart() => Failure = null;

    /// <summary>Returns the memory of the marks to the pool.</summary>
    public void Dispose()
    {
        if (marks.Length > 0) ArrayPool<byte>.Shared.Return(marks);
        (marks, length) = ([], 0);
    }

    private void Grow(int needed)
    {
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(FirstRent, Math.Max(needed, 2 * marks.Length)));
        Marks.Span.CopyTo(larger);
        if (marks.Length > 0) ArrayPool<byte>.Shared.Return(marks);
        marks = larger;
    }
}
