using System.Globalization;
using System.Text;
using Sluice.Domain.Fleet;
using Sluice.Domain.Jobs;

namespace Sluice.Storage.Queueing;

/// <summary>
/// Reads and writes the Redis representation of a job; <c>jobstate.part.lua</c> documents the format.
/// </summary>
/// <param name="run">The run of the job; empty: it is not running.</param>
/// <param name="head">The first two lines of the submission.</param>
/// <param name="again">The previous attempts; empty: the job was never queued again.</param>
/// <param name="result">The result; empty: the job has not ended.</param>
internal sealed class JobSerializer(string run, string head, string again, byte[] result)
{
    /// <summary>The suffixes, after the job id, of the fields of large inputs and outputs.</summary>
    public const string InputField = "|in";
    public const string OutputField = "|out";

    /// <summary>The maximum length of a stored error message in characters.</summary>
    private const int MaxError = 16 << 10;

    /// <summary>The maximum length of a provider name in characters. The name comes from the worker.</summary>
    private const int MaxProvider = 100;

    /// <summary>Whether the data of the job was deleted.</summary>
    public bool Expired { get; init; }

    /// <summary>The stored output: the value, or a reference to it; null: there is none.</summary>
    public byte[]? Output => !Expired && End is [_, _, "output"] ? Value(result) : null;

    /// <summary>The lines of the result before its value.</summary>
    private string[] End => result.Length == 0 ? [] : Lines(result, 3, out _);

    /// <summary>
    /// Returns the input (the value, or a reference to it), the s3Config and the attempt's time limit of a submission.
    /// </summary>
    public static (byte[] Input, byte[]? S3, TimeSpan Timeout) Input(byte[] submission)
    {
        var lines = Lines(submission, 4, out var input);
        var s3 = SplitTrace(lines[3]).S3;
        return (
            submission[input..],
            s3.Length > 0 ? Encoding.UTF8.GetBytes(s3) : null,
            TimeOf(lines[0].Split('|', 7)));
    }

    /// <summary>Returns the span of a submission (<see cref="JobSubmission.Trace"/>); null: none.</summary>
    public static string? Trace(byte[] submission) => SplitTrace(Lines(submission, 4, out _)[3]).Trace;

    /// <summary>Returns the line <c>s3</c> of a submission, in front of which its trace may be, with a tab.</summary>
    public static byte[] JoinTrace(string? trace, byte[] s3) =>
        trace is null ? s3 : [.. Encoding.UTF8.GetBytes(trace), (byte)'\t', .. s3];

    /// <summary>Splits a line of <see cref="JoinTrace"/>. JSON and paths do not begin with a digit.</summary>
    public static (string? Trace, string S3) SplitTrace(string line) =>
        line is [>= '0' and <= '9', ..] && line.IndexOf('\t', StringComparison.Ordinal) is var tab and > 0
            ? (line[..tab], line[(tab + 1)..])
            : (null, line);

    /// <summary>Returns the value after the three lines of a result.</summary>
    public static byte[] Value(byte[] result)
    {
        Lines(result, 3, out var value);
        return result[value..];
    }

    /// <summary>Whether the stored text only refers to a value in another hash.</summary>
    public static bool IsElsewhere(byte[] stored) => stored is [(byte)'@'];

    /// <summary>Returns JSON on one line. A line break between JSON tokens is equivalent to a space.</summary>
    public static byte[] OneLine(byte[] json) =>
        Array.ConvertAll(json, b => b is (byte)'\n' or (byte)'\r' ? (byte)' ' : b);

    /// <summary>Returns the parameters that a submission fixes.</summary>
    public static string Spec(JobSubmission job) => string.Create(
        CultureInfo.InvariantCulture,
        $"{job.Weight:R}{(job.Tokens > 0 ? $"~{job.Tokens}" : "")}|{(job.LowPriority ? 1 : 0)}|{Ms(job.Ttl)}|")
        + string.Create(
            CultureInfo.InvariantCulture,
            $"{job.MaxRuns}|{Ms(job.Timeout)}|{Ms(job.Retention)}|{job.Flow}");

    /// <summary>Returns the worker fields of an end.</summary>
    public static string Ran(RunTrace ran)
    {
        var provider = ran.Provider is { Length: > MaxProvider } name ? name[..MaxProvider] : ran.Provider;
        var start = ran.WorkerStart is { Length: > 0 } stages ? "," + stages : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{ran.WorkerReady.ToUnixTimeMilliseconds()}{start}|{provider?.ReplaceLineEndings(" ")}");
    }

    public static byte[] Error(JobError error) =>
        Encoding.UTF8.GetBytes($"{error.Code}|{(error.Retryable ? 1 : 0)}|{Short(error.Message)}");

    /// <summary>Creates the job, without its output, which may be stored elsewhere.</summary>
    public Job ToJob(string endpointId, string id)
    {
        var lines = head.Split('\n');
        if (lines.Length < 2) throw new InvalidDataException($"Submission of a job is '{head}'; expected two lines");
        // weight|low|ttl|max|timeout|keep|flow
        var spec = Parts("spec", lines[0], 7);
        // submitted|deadline|seq
        var waits = Parts("times", lines[1], 3);
        // attempt|runs|started|pod|queued|deadline|seq, and its lost attempts
        var back = again.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var past = back.Length == 0 ? ["0", "0", "0", "", waits[0], waits[1], waits[2]] : Parts("past", back[0], 7);
        var end = End;
        // ended|ready[,stage=ms..]|provider
        var ran = end.Length == 0 ? null : Parts("trace", end[1], 3);
        var ready = (ran?[1] ?? "").Split(',', 2);
        var (status, last) = Last(end, past);
        return new Job
        {
            Id = id,
            EndpointId = endpointId,
            Status = status,
            Flow = spec[6],
            // A fence in runs and results: "attempt.token".
            Attempt = (int)Number(last.Attempt.Split('.', 2)[0]),
            Runs = (int)Number(last.Runs),
            MaxRuns = (int)Number(spec[3]),
            LowPriority = spec[1] == "1",
            Submitted = At(waits[0]),
            Queued = At(past[4]),
            Deadline = At(past[5]),
            Timeout = TimeOf(spec),
            Started = last.Pod.Length > 0 ? At(last.Started) : null,
            Worker = last.Pod.Length > 0 ? last.Pod : null,
            Ended = ran is null ? null : At(ran[0]),
            WorkerReady = ready[0].Length == 0 ? null : At(ready[0]),
            WorkerStart = ready.Length > 1 ? StartStages.Unpack(ready[1]) : [],
            Provider = ran is null || ran[2].Length == 0 ? null : ran[2],
            Error = end is [_, _, "error"] ? ReadError(result) : null,
            Lost = [.. back.Skip(1).Select(Lost)],
            Expired = Expired,
        };
    }

    /// <summary>Returns the time limit of an attempt.</summary>
    public static TimeSpan TimeOf(string[] spec) => TimeSpan.FromMilliseconds(Number(spec[4]));

    private static JobError? ReadError(byte[] result) =>
        Encoding.UTF8.GetString(Value(result)).Split('|', 3) is [var code, var retryable, var message]
            ? new JobError(code, message, retryable == "1")
            : null;

    private static LostAttempt Lost(string line)
    {
        var parts = line.Split('|', 5);
        return new LostAttempt(
            int.Parse(parts[0], CultureInfo.InvariantCulture),
            parts[1],
            At(parts[2]),
            At(parts[3]),
            parts[4]);
    }

    /// <summary>Returns the status (ended, running or queued), and the current or last attempt.</summary>
    private (string Status, (string Attempt, string Runs, string Started, string Pod) Last) Last(
        string[] end,
        string[] past)
    {
        // status|attempt|runs|started|pod
        if (end.Length > 0) return Parts("end", end[0], 5) is var e ? (e[0], (e[1], e[2], e[3], e[4])) : default;
        // holder|attempt|pod|started|runs|..
        if (run.Split('|', 6) is { Length: 6 } r) return (JobStatus.Running, (r[1], r[4], r[3], r[2]));
        return (JobStatus.Queued, (past[0], past[1], past[2], past[3]));
    }

    private static string[] Parts(string name, string text, int count)
    {
        var parts = text.Split('|', count);
        if (parts.Length == count) return parts;
        throw new InvalidDataException($"Field '{name}' of a job is '{text}'; expected {count} parts");
    }

    /// <summary>Returns the first lines of a text; <paramref name="rest"/> is the start of the next line.</summary>
    private static string[] Lines(byte[] text, int count, out int rest)
    {
        var lines = new string[count];
        rest = 0;
        for (var i = 0; i < count; i++)
        {
            var length = text.AsSpan(rest).IndexOf((byte)'\n');
            if (length < 0)
                throw new InvalidDataException($"Text of a job has {i} lines; expected {count} lines and a value");
            lines[i] = Encoding.UTF8.GetString(text, rest, length);
            rest += length + 1;
        }

        return lines;
    }

    /// <summary>
    /// Limits an error message: a message of a worker may be as long as an output, and is not stored in a file.
    /// </summary>
    private static string Short(string message) =>
        message.Length > MaxError ? message[..MaxError] + "..." : message;

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static DateTimeOffset At(string ms) => DateTimeOffset.FromUnixTimeMilliseconds(Number(ms));

    private static long Ms(TimeSpan t) => (long)t.TotalMilliseconds;
}
