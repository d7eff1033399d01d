using Sluice.Domain.Series;

namespace Sluice.Gateway.Observability;

/// <summary>What this gateway counted of an endpoint in the current step, and in the current step of 5 min.</summary>
internal sealed class EndpointRecord
{
    private readonly Lock gate = new();
    private SeriesCounts current = new();
    private SeriesCounts coarse = new();
    private long coarseStart;
    private bool isUsed;

    /// <summary>Whether the endpoint may have something to store.</summary>
    public bool IsActive
    {
        get
        {
            lock (gate) return isUsed;
        }
    }

    /// <summary>Marks the endpoint as used.</summary>
    public void Touch()
    {
        lock (gate) isUsed = true;
    }

    /// <summary>Counts something.</summary>
    public void Add(Action<SeriesCounts> count)
    {
        lock (gate)
        {
            isUsed = true;
            count(current);
        }
    }

    /// <summary>
    /// Ends the current step. Returns what was counted in it, and in the step of 5 min that it is part of.
    /// </summary>
    /// <param name="levels">The queue and the workers at its end; without values: unknown.</param>
    /// <param name="start">The start of the step of 5 min.</param>
    public (SeriesCounts Step, SeriesCounts Coarse) Take(SeriesCounts levels, long start)
    {
        lock (gate)
        {
            var step = current;
            current = new SeriesCounts();
            step.Add(levels);
            // It stays active until a step has nothing at all.
            isUsed = step.Requests + step.Tokens > 0 || levels is not { Queued: 0 or null, Starting: 0 or null };
            if (coarseStart != start) (coarse, coarseStart) = (new SeriesCounts(), start);
            coarse.Add(step);
            var copy = new SeriesCounts();
            copy.Add(coarse);
            return (step, copy);
        }
    }
}
