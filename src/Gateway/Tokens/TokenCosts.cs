using System.Collections.Concurrent;

namespace Sluice.Gateway.Tokens;

/// <summary>
/// Makes the queue fair by tokens: it charges a flow the tokens that its requests are expected to use, by the mean of
/// those that ended. A flow with requests of twice the tokens gets half as many of them. The means are in the memory of
/// this gateway.
/// </summary>
public sealed class TokenCosts
{
    /// <summary>The tokens of a request that costs as much as one of another kind.</summary>
    public const double TokensOfRequest = 1000;

    /// <summary>The weight of the last request in the mean: about the last ten requests count.</summary>
    private const double LastWeight = 0.1;

    /// <summary>The most flows that are known. Beyond it, all are forgotten, and learned again.</summary>
    private const int MaxFlows = 20_000;

    private readonly ConcurrentDictionary<(string Endpoint, string Flow), double> means = [];

    /// <summary>Records the tokens of a request that ended.</summary>
    public void Record(string endpoint, string flow, long tokens)
    {
        if (tokens <= 0) return;
        if (means.Count > MaxFlows) means.Clear();
        // The mean of all flows is what is known about a flow without requests.
        foreach (var name in new[] { flow, "" })
            means.AddOrUpdate((endpoint, name), tokens, (_, mean) => Mean(mean, tokens));
    }

    /// <summary>Returns the weight of the next request of a flow in the queue.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="flow">The flow.</param>
    /// <param name="weight">The weight of the flow.</param>
    public double Weigh(string endpoint, string flow, double weight) =>
        means.TryGetValue((endpoint, flow), out var mean) || means.TryGetValue((endpoint, ""), out mean)
            ? weight / Cost(mean)
            : weight;

    /// <summary>Returns the mean after a request.</summary>
    internal static double Mean(double mean, long tokens) => mean + LastWeight * (tokens - mean);

    /// <summary>
    /// Returns the cost of a request, in requests: 0.01 to 100. It is rounded to a quarter of an octave (at most 9 %),
    /// so that jobs that are submitted together share their text in Redis.
    /// </summary>
    internal static double Cost(double tokens) => tokens <= 0
        ? 0.01
        : Math.Clamp(Math.Pow(2, Math.Round(4 * Math.Log2(tokens / TokensOfRequest)) / 4), 0.01, 100);
}
