using Sluice.Domain.Jobs;
using Sluice.Domain.Usage;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

/// <summary>
/// A request to end a job: its final result, and the fence that determines whether the request is valid.
/// </summary>
public sealed class JobEnd
{
    /// <summary>The worker fields of an end that has no worker data.</summary>
    private const string NotRun = "|";

    private JobEnd(string id, string status, string expect, bool dead, string ran, string what, byte[] value,
        WorkUsage used = default)
    {
        Id = id;
        Kind = new EndKind(status, dead, ran, what, used.Row);
        Used = used.Quantities;
        Expect = expect;
        Value = value;
    }

    /// <summary>The job.</summary>
    public string Id { get; }

    /// <summary>The status of the job after the end.</summary>
    public string Status => Kind.Status;

    /// <summary>The approximate size of the end in a call.</summary>
    public int Bytes => 200 + Value.Length + Used.Length;

    internal EndKind Kind { get; }

    /// <summary>
    /// The fence of the attempt that must be running, or one of the keywords of <c>ends.part.lua</c>.
    /// </summary>
    internal string Expect { get; }

    internal byte[] Value { get; }

    /// <summary>What the attempt used, for the ledger.</summary>
    internal string Used { get; }

    /// <summary>Ends an attempt that has an output: JSON, or a reference to it.</summary>
    internal static JobEnd Completed(
        string id, Fence fence, byte[] output, RunTrace ran, WorkUsage used = default) =>
        new(id, JobStatus.Completed, fence.ToString(), dead: false, JobSerializer.Ran(ran), "output", output, used);

    /// <summary>Ends an attempt without output. A job without attempts left becomes a dead letter.</summary>
    public static JobEnd Failed(string id, Fence fence, string status, JobError error, WorkUsage used = default) =>
        new(id, status, fence.ToString(), error.Code == JobErrors.Exhausted, NotRun, "error",
            JobSerializer.Error(error), used);

    /// <summary>Ends a job if it is still queued.</summary>
    internal static JobEnd Unqueued(string id, string status, JobError error) =>
        new(id, status, "queued", dead: false, NotRun, "error", JobSerializer.Error(error));

    /// <summary>Ends a job that is queued or running.</summary>
    internal static JobEnd Cancelled(string id, JobError error) =>
        new(id, JobStatus.Cancelled, "any", dead: false, NotRun, "error", JobSerializer.Error(error));
}

/// <summary>The values that several ends of one call may share.</summary>
internal readonly record struct EndKind(string Status, bool Dead, string Ran, string What, string Row);
