using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>
/// A request to end a job: its final result, and the fence that determines whether the request is valid.
/// </summary>
public sealed class JobEnd
{
    /// <summary>The worker fields of an end that has no worker data.</summary>
    private const string NotRun = "|";

    private JobEnd(string id, string status, string expect, bool dead, string ran, string what, byte[] value)
    {
        Id = id;
        Kind = new EndKind(status, dead, ran, what);
        Expect = expect;
        Value = value;
    }

    /// <summary>The job.</summary>
    public string Id { get; }

    /// <summary>The status of the job after the end.</summary>
    public string Status => Kind.Status;

    /// <summary>The approximate size of the end in a call.</summary>
    internal int Bytes => 200 + Value.Length;

    internal EndKind Kind { get; }

    /// <summary>
    /// The fence of the attempt that must be running, or one of the keywords of <c>ends.part.lua</c>.
    /// </summary>
    internal string Expect { get; }

    internal byte[] Value { get; }

    /// <summary>Ends an attempt that has an output: JSON, or a reference to it.</summary>
    internal static JobEnd Completed(string id, Fence fence, byte[] output, RunTrace ran) =>
        new(id, JobStatus.Completed, fence.ToString(), dead: false, JobSerializer.Ran(ran), "output", output);

    /// <summary>Ends an attempt without output. A job without attempts left becomes a dead letter.</summary>
    internal static JobEnd Failed(string id, Fence fence, string status, JobError error) =>
        new(id, status, fence.ToString(), error.Code == JobErrors.Exhausted, NotRun, "error", JobSerializer.Error(error));

    /// <summary>Ends a job if it is still queued.</summary>
    internal static JobEnd Unqueued(string id, string status, JobError error) =>
        new(id, status, "queued", dead: false, NotRun, "error", JobSerializer.Error(error));

    /// <summary>Ends a job that is queued or running.</summary>
    internal static JobEnd Cancelled(string id, JobError error) =>
        new(id, JobStatus.Cancelled, "any", dead: false, NotRun, "error", JobSerializer.Error(error));
}

/// <summary>The values that several ends of one call may share.</summary>
internal readonly record struct EndKind(string Status, bool Dead, string Ran, string What);

/// <summary>Converts ends to the arguments of <c>ends.part.lua</c>, and its result to end results.</summary>
internal static class EndCall
{
    /// <summary>
    /// The minimum retention of dead letters in ms: 7 days, so that a job that fails on a weekend can be inspected on
    /// the next working day.
    /// </summary>
    public static readonly long KeepDeadMs = (long)TimeSpan.FromDays(7).TotalMilliseconds;

    /// <summary>Returns the number of kinds, and the arguments that follow it.</summary>
    public static (int Kinds, List<RedisValue> Values) Args(IReadOnlyList<JobEnd> ends)
    {
        var kinds = new ArgumentInterner<EndKind>(k => [k.Status, k.Dead ? 1 : 0, k.Ran, k.What]);
        var args = new List<RedisValue>(4 * ends.Count);
        foreach (var e in ends) args.AddRange([kinds.NumberOf(e.Kind), e.Id, e.Expect, e.Value]);
        return (kinds.Count, [.. kinds.Args, .. args]);
    }

    /// <summary>Returns one result per end, in the same order.</summary>
    /// <param name="ends">The ends of the call.</param>
    /// <param name="refused">The part of the script's result for the ends that were rejected.</param>
    public static EndResult[] Results(IReadOnlyList<JobEnd> ends, RedisResult[] refused)
    {
        var results = new EndResult[ends.Count];
        for (var i = 0; i < results.Length; i++) results[i] = new EndResult(ends[i].Id, true, true, ends[i].Status);
        for (var i = 0; i < refused.Length; i += 3)
        {
            var place = (int)refused[i] - 1;
            var known = (string)refused[i + 1] != "gone";
            results[place] = new EndResult(ends[place].Id, known, false, (string)refused[i + 2]);
        }

        return results;
    }
}
