using Sluice.Core.Redis;
using StackExchange.Redis;

namespace Sluice.Core.Jobs;

/// <summary>How a job is to end: its one final result, and the fence that says whether it counts.</summary>
public sealed class JobEnd
{
    /// <summary>What an end tells of the worker when there is nothing to tell.</summary>
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

    /// <summary>What it is from now on.</summary>
    public string Status => Kind.Status;

    /// <summary>About what it costs in a call.</summary>
    internal int Bytes => 200 + Value.Length;

    internal EndKind Kind { get; }

    /// <summary>The fence of the attempt that must run, or one of the words of <c>ends.part.lua</c>.</summary>
    internal string Expect { get; }

    internal byte[] Value { get; }

    /// <summary>By an attempt that has an output: JSON, or where it is.</summary>
    internal static JobEnd Completed(string id, Fence fence, byte[] output, RunTrace ran) =>
        new(id, JobStatus.Completed, fence.ToString(), dead: false, JobFields.Ran(ran), "output", output);

    /// <summary>By an attempt without one; a job without attempts left is a dead letter.</summary>
    internal static JobEnd Failed(string id, Fence fence, string status, JobError error) =>
        new(id, status, fence.ToString(), error.Code == JobErrors.Exhausted, NotRun, "error", JobFields.Error(error));

    /// <summary>If it still waits.</summary>
    internal static JobEnd Unqueued(string id, string status, JobError error) => new(id, status, "queued", dead: false, NotRun, "error", JobFields.Error(error));

    /// <summary>Whether it waits or runs.</summary>
    internal static JobEnd Cancelled(string id, JobError error) => new(id, JobStatus.Cancelled, "any", dead: false, NotRun, "error", JobFields.Error(error));
}

/// <summary>What ends of one call may have in common.</summary>
internal readonly record struct EndKind(string Status, bool Dead, string Ran, string What);

/// <summary>Ends as <c>ends.part.lua</c> takes and answers them.</summary>
internal static class EndCall
{
    /// <summary>Dead letters are kept at least this long, ms: people look at them on Monday.</summary>
    public static readonly long KeepDeadMs = (long)TimeSpan.FromDays(7).TotalMilliseconds;

    /// <summary>The count of kinds, and the rest.</summary>
    public static (int Kinds, List<RedisValue> Values) Args(IReadOnlyList<JobEnd> ends)
    {
        var kinds = new CallKinds<EndKind>(k => [k.Status, k.Dead ? 1 : 0, k.Ran, k.What]);
        var args = new List<RedisValue>(4 * ends.Count);
        foreach (var e in ends) args.AddRange([kinds.NumberOf(e.Kind), e.Id, e.Expect, e.Value]);
        return (kinds.Count, [.. kinds.Args, .. args]);
    }

    /// <summary>A result each, in their order; refused: those that were not ended.</summary>
    public static EndResult[] Results(IReadOnlyList<JobEnd> ends, RedisResult[] refused)
    {
        var results = new EndResult[ends.Count];
        for (var i = 0; i < results.Length; i++) results[i] = new EndResult(ends[i].Id, true, true, ends[i].Status);
        for (var i = 0; i < refused.Length; i += 3)
        {
            var place = (int)refused[i] - 1;
            results[place] = new EndResult(ends[place].Id, (string)refused[i + 1] != "gone", false, (string)refused[i + 2]);
        }

        return results;
    }
}
