using System.IO.Pipelines;

namespace Sluice.Gateway.Http;

/// <summary>
/// Reads a request body, and cancels the pending read if too few bytes arrive in a window. After a cancelled read the
/// body cannot be read again (ADR 25), so the caller ends the request.
/// </summary>
/// <param name="input">The body.</param>
/// <param name="time">The clock.</param>
public sealed class PacedBodyReader(PipeReader input, TimeProvider time) : IAsyncDisposable
{
    /// <summary>
    /// The window of the minimum rate: at least <see cref="WindowBytes"/> of an incomplete body must arrive in each
    /// window.
    /// </summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Minimum bytes per window, 13 kbit/s. The minimum rate of Kestrel is an average since the first byte, so a fast
    /// start allows hours without data.
    /// </summary>
    public const int WindowBytes = 16 << 10;

    /// <summary>The error text for a body that is too slow (status 408).</summary>
    public static readonly string TooSlow =
        $"The body is too slow: fewer than {WindowBytes} bytes arrived in {Window.TotalSeconds:0} s.";

    private ITimer? timer;
    private long arrived;
    private long lastCount;

    /// <summary>Number of bytes that have arrived.</summary>
    public long Arrived
    {
        set => Volatile.Write(ref arrived, value);
    }

    /// <summary>Reads the next bytes. The result is cancelled if the body is too slow.</summary>
    public ValueTask<ReadResult> ReadAsync(CancellationToken ct)
    {
        var read = input.ReadAsync(ct);
        // Most bodies have already arrived and need no timer.
        if (!read.IsCompleted) timer ??= time.CreateTimer(_ => OnWindow(), null, Window, Window);
        return read;
    }

    public ValueTask DisposeAsync() => timer?.DisposeAsync() ?? ValueTask.CompletedTask;

    private void OnWindow()
    {
        var now = Volatile.Read(ref arrived);
        if (now - lastCount < WindowBytes) input.CancelPendingRead();
        lastCount = now;
    }
}
