using System.Globalization;
using System.Text;
using Sluice.Core.Workers;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>The fields of a job's hash, read together. Those that are written together are packed into one; what stands where is
/// told by <c>jobstate.part.lua</c>.</summary>
internal sealed class JobFields(IReadOnlyList<RedisResult> values)
{
    /// <summary>What is read of a job; not its input.</summary>
    public static RedisValue[] Names { get; } = ["state", "spec", "waits", "end", "error", "lost", "expired", "output"];

    /// <summary>The same without the output, which may be large.</summary>
    public static RedisValue[] WithoutOutput { get; } = Names[..^1];

    /// <summary>As stored: itself, or where it is; null: there is none, or it was not read.</summary>
    public byte[]? Output => values.Count == Names.Length && values[^1] is { IsNull: false } value ? (byte[])value : null;

    /// <summary>What a submission fixes.</summary>
    public static string Spec(JobSubmission job) => string.Create(CultureInfo.InvariantCulture,
        $"{job.Weight:R}|{(job.LowPriority ? 1 : 0)}|{Ms(job.Ttl)}|{job.MaxRuns}|{Ms(job.Timeout)}|{Ms(job.Retention)}|{job.Flow}");

    /// <summary>What an end tells of the worker.</summary>
    public static string Ran(RunTrace ran) => string.Create(CultureInfo.InvariantCulture,
        $"{ran.WorkerReady.ToUnixTimeMilliseconds()}{(ran.WorkerStart is { Length: > 0 } start ? "," + start : "")}|{ran.Provider}");

    public static byte[] Error(JobError error) => Encoding.UTF8.GetBytes($"{error.Code}|{(error.Retryable ? 1 : 0)}|{error.Message}");

    /// <summary>All but the output, which may be elsewhere.</summary>
    public Job ToJob(string endpointId, string id)
    {
        // status|attempt|runs|started|pod|holder
        var state = Parts("state", 6);
        // weight|low|ttl|max|timeout|keep|flow
        var spec = Parts("spec", 7);
        // submitted|queued|deadline
        var waits = Parts("waits", 3);
        // ended|ready[,stage=ms..]|provider
        var end = Text("end") is null ? null : Parts("end", 3);
        var ready = (end?[1] ?? "").Split(',', 2);
        return new Job
        {
            Id = id,
            EndpointId = endpointId,
            Status = state[0],
            Flow = spec[6],
            Attempt = (int)Number(state[1]),
            Runs = (int)Number(state[2]),
            MaxRuns = (int)Number(spec[3]),
            LowPriority = spec[1] == "1",
            Submitted = At(waits[0]),
            Queued = At(waits[1]),
            Deadline = At(waits[2]),
            Timeout = TimeOf(spec),
            Started = state[4].Length > 0 ? At(state[3]) : null,
            Worker = state[4].Length > 0 ? state[4] : null,
            Ended = end is null ? null : At(end[0]),
            WorkerReady = ready[0].Length == 0 ? null : At(ready[0]),
            WorkerStart = ready.Length > 1 ? StartStages.Unpack(ready[1]) : [],
            Provider = end is null || end[2].Length == 0 ? null : end[2],
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

    private string[] Parts(string name, int count) => Text(name) is { } text && text.Split('|', count) is var parts && parts.Length == count
        ? parts : throw new InvalidDataException($"a job's field {name} is '{Text(name)}', expected {count} parts");

    private string? Text(string name) => values[Array.IndexOf(Names, name)] is { IsNull: false } value ? Encoding.UTF8.GetString((byte[])value) : null;

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static DateTimeOffset At(string ms) => DateTimeOffset.FromUnixTimeMilliseconds(Number(ms));

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
