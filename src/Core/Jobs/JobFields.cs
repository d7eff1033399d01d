using System.Globalization;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>The fields of a job's hash, as the scripts write them, read together.</summary>
internal sealed class JobFields(IReadOnlyList<RedisResult> values)
{
    /// <summary>What is read of a job; not its input.</summary>
    public static RedisValue[] Names { get; } =
    [
        "status", "flow", "attempt", "runs", "max", "low", "submitted", "deadline", "timeout", "started", "ended", "pod", "provider",
        "ready", "queued", "output", "error", "code", "retryable", "lost", "expired",
    ];

    public byte[]? Bytes(string name) => values[Array.IndexOf(Names, name)] is { IsNull: false } value ? (byte[])value : null;

    /// <summary>All but the output, which may be elsewhere.</summary>
    public Job ToJob(string endpointId, string id) => new()
    {
        Id = id,
        EndpointId = endpointId,
        Status = Text("status")!,
        Flow = Text("flow") ?? "",
        Attempt = (int)(Number("attempt") ?? 0),
        Runs = (int)(Number("runs") ?? 0),
        MaxRuns = (int)(Number("max") ?? 0),
        LowPriority = Text("low") == "1",
        Submitted = Time("submitted") ?? default,
        Deadline = Time("deadline") ?? default,
        Timeout = TimeSpan.FromMilliseconds(Number("timeout") ?? 0),
        Started = Text("pod") is { Length: > 0 } ? Time("started") : null,
        Ended = Time("ended"),
        Worker = Text("pod") is { Length: > 0 } pod ? pod : null,
        Provider = Text("provider") is { Length: > 0 } provider ? provider : null,
        WorkerReady = Time("ready"),
        Queued = Time("queued") ?? default,
        Error = Text("code") is { } code ? new JobError(code, Text("error") ?? "", Text("retryable") == "1") : null,
        Lost = [.. (Text("lost") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Lost)],
        Expired = Text("expired") is not null,
    };

    private static LostAttempt Lost(string line)
    {
        var parts = line.Split('|', 5);
        return new LostAttempt(int.Parse(parts[0], CultureInfo.InvariantCulture), parts[1], At(parts[2]), At(parts[3]), parts[4]);
    }

    private string? Text(string name) => values[Array.IndexOf(Names, name)] is { IsNull: false } value ? (string)value : null;

    private long? Number(string name) => Text(name) is { } text ? (long)double.Parse(text, CultureInfo.InvariantCulture) : null;

    private DateTimeOffset? Time(string name) => Text(name) is { } text ? At(text) : null;

    private static DateTimeOffset At(string ms) =>
        DateTimeOffset.FromUnixTimeMilliseconds((long)double.Parse(ms, CultureInfo.InvariantCulture));
}
