using System.Globalization;
using System.Text;
using Sluice.Core.Workers;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>The fields of a job's hash, read together. Those that are written together are packed into one; what stands where is
/// told by <c>jobstate.part.lua</c>.</summary>
/// <param name="values">Those of <see cref="Names"/> or of <see cref="WithoutOutput"/>.</param>
/// <param name="run">Its entry in running; empty: it does not run.</param>
internal sealed class JobFields(IReadOnlyList<RedisResult> values, string run)
{
    /// <summary>What is read of a job; not its input.</summary>
    public static RedisValue[] Names { get; } = ["spec", "waits", "past", "end", "ran", "error", "lost", "expired", "output"];

    /// <summary>The same without the output, which may be large.</summary>
    public static RedisValue[] WithoutOutput { get; } = Names[..^1];

    /// <summary>Characters of an error that are kept.</summary>
    private const int MaxError = 16 << 10;

    /// <summary>Characters of the provider's name, which a worker tells.</summary>
    private const int MaxProvider = 100;

    /// <summary>As stored: itself, or where it is; null: there is none, or it was not read.</summary>
    public byte[]? Output => values.Count == Names.Length && values[^1] is { IsNull: false } value ? (byte[])value : null;

    /// <summary>What a submission fixes.</summary>
    public static string Spec(JobSubmission job) => string.Create(CultureInfo.InvariantCulture,
        $"{job.Weight:R}|{(job.LowPriority ? 1 : 0)}|{Ms(job.Ttl)}|{job.MaxRuns}|{Ms(job.Timeout)}|{Ms(job.Retention)}|{job.Flow}");

    /// <summary>What an end tells of the worker.</summary>
    public static string Ran(RunTrace ran)
    {
        var provider = ran.Provider is { Length: > MaxProvider } name ? name[..MaxProvider] : ran.Provider;
        return string.Create(CultureInfo.InvariantCulture,
            $"{ran.WorkerReady.ToUnixTimeMilliseconds()}{(ran.WorkerStart is { Length: > 0 } start ? "," + start : "")}|{provider}");
    }

    public static byte[] Error(JobError error) => Encoding.UTF8.GetBytes($"{error.Code}|{(error.Retryable ? 1 : 0)}|{Short(error.Message)}");

    /// <summary>All but the output, which may be elsewhere.</summary>
    public Job ToJob(string endpointId, string id)
    {
        // weight|low|ttl|max|timeout|keep|flow
        var spec = Parts("spec", 7);
        // submitted|queued|deadline|seq
        var waits = Parts("waits", 4);
        // ended|ready[,stage=ms..]|provider
        var ran = Text("ran") is null ? null : Parts("ran", 3);
        var ready = (ran?[1] ?? "").Split(',', 2);
        var (status, last) = Last();
        return new Job
        {
            Id = id,
            EndpointId = endpointId,
            Status = status,
            Flow = spec[6],
            Attempt = (int)Number(last.Attempt),
            Runs = (int)Number(last.Runs),
            MaxRuns = (int)Number(spec[3]),
            LowPriority = spec[1] == "1",
            Submitted = At(waits[0]),
            Queued = At(waits[1]),
            Deadline = At(waits[2]),
            Timeout = TimeOf(spec),
            Started = last.Pod.Length > 0 ? At(last.Started) : null,
            Worker = last.Pod.Length > 0 ? last.Pod : null,
            Ended = ran is null ? null : At(ran[0]),
            WorkerReady = ready[0].Length == 0 ? null : At(ready[0]),
            WorkerStart = ready.Length > 1 ? StartStages.Unpack(ready[1]) : [],
            Provider = ran is null || ran[2].Length == 0 ? null : ran[2],
            Error = Text("error")?.Split('|', 3) is [var code, var retryable, var message] ? new JobError(code, message, retryable == "1") : null,
            Lost = [.. (Text("lost") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(Lost)],
            Expired = Text("expired") is not null,
        };
    }

    /// <summary>An attempt's time limit.</summary>
    public static TimeSpan TimeOf(string[] spec) => TimeSpan.FromMilliseconds(Number(spec[4]));

    private static LostAttempt Lost(string line)
    {
        var parts = line.Split('|', 5);
        return new LostAttempt(int.Parse(parts[0], CultureInfo.InvariantCulture), parts[1], At(parts[2]), At(parts[3]), parts[4]);
    }

    /// <summary>Whether it has ended, runs or waits, and its present or last attempt.</summary>
    private (string Status, (string Attempt, string Runs, string Started, string Pod) Last) Last()
    {
        // status|attempt|runs|started|pod
        if (Text("end") is not null) return Parts("end", 5) is var e ? (e[0], (e[1], e[2], e[3], e[4])) : default;
        // holder|attempt|pod|started|runs|..
        if (run.Split('|', 6) is { Length: 6 } r) return (JobStatus.Running, (r[1], r[4], r[3], r[2]));
        // attempt|runs|started|pod
        return (JobStatus.Queued, Text("past") is null ? ("0", "0", "0", "") : Parts("past", 4) is var p ? (p[0], p[1], p[2], p[3]) : default);
    }

    private string[] Parts(string name, int count) => Text(name) is { } text && text.Split('|', count) is var parts && parts.Length == count
        ? parts : throw new InvalidDataException($"a job's field {name} is '{Text(name)}', expected {count} parts");

    private string? Text(string name) => values[Array.IndexOf(Names, name)] is { IsNull: false } value ? Encoding.UTF8.GetString((byte[])value) : null;

    /// <summary>A worker's words may be as long as an output, and are no file.</summary>
    private static string Short(string message) => message.Length > MaxError ? message[..MaxError] + "..." : message;

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static DateTimeOffset At(string ms) => DateTimeOffset.FromUnixTimeMilliseconds(Number(ms));

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
