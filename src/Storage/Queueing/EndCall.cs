using Sluice.Domain.Jobs;
using Sluice.Storage.Redis;
using StackExchange.Redis;

namespace Sluice.Storage.Queueing;

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
        var kinds = new ArgumentInterner<EndKind>(k => [k.Status, k.Dead ? 1 : 0, k.Ran, k.What, k.Row]);
        var args = new List<RedisValue>(5 * ends.Count);
        foreach (var e in ends) args.AddRange([kinds.NumberOf(e.Kind), e.Id, e.Expect, e.Value, e.Used]);
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
            var known = refused[i + 1].Text() != "gone";
            results[place] = new EndResult(ends[place].Id, known, false, refused[i + 2].Text());
        }

        return results;
    }
}
