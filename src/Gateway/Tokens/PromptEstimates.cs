using System.Collections.Concurrent;

namespace Sluice.Gateway.Tokens;

/// <summary>
/// Learns how many tokens the prompts of an endpoint have, relative to their estimate by bytes: tokenizers and chat
/// templates differ. A prompt that had more than expected counts immediately, because it was more than was reserved;
/// one that had fewer counts slowly. The factors are in the memory of this gateway.
/// </summary>
public sealed class PromptEstimates
{
    private const double MinFactor = 0.1;
    private const double MaxFactor = 10;

    /// <summary>The weight of a prompt that had fewer tokens than expected.</summary>
    private const double DownWeight = 0.02;

    private readonly ConcurrentDictionary<string, double> factors = [];

    /// <summary>Returns the tokens to expect for a prompt.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="demand">The request.</param>
    public long Expect(string endpoint, GenerationDemand demand) => demand.Exact
        + (long)Math.Ceiling((demand.Prompt - demand.Exact) * factors.GetValueOrDefault(endpoint, 1));

    /// <summary>Records the tokens that the worker counted.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="estimate">The estimate by bytes.</param>
    /// <param name="counted">The count.</param>
    public void Learn(string endpoint, long estimate, long counted)
    {
        if (estimate > 0 && counted > 0)
            factors.AddOrUpdate(endpoint, Next(1, estimate, counted), (_, factor) => Next(factor, estimate, counted));
    }

    /// <summary>Returns the factor after a prompt.</summary>
    internal static double Next(double factor, long estimate, long counted)
    {
        var seen = Math.Clamp((double)counted / estimate, MinFactor, MaxFactor);
        return seen > factor ? seen : factor + DownWeight * (seen - factor);
    }
}
