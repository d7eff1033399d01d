using Sluice.Domain.Declarations;

namespace Sluice.Domain.Scaling;

/// <summary>The registered scalers by the name that a policy selects.</summary>
internal static class Scalers
{
    private static readonly Dictionary<Scaler, IScaler> All = new()
    {
        [Scaler.Slo] = new SloScaler(),
        [Scaler.RequestCount] = new RequestCountScaler(),
        [Scaler.QueueDelay] = new QueueDelayScaler(),
        [Scaler.Concurrency] = new ConcurrencyScaler(),
        [Scaler.Tokens] = new TokensScaler(),
    };

    /// <exception cref="ArgumentOutOfRangeException">No scaler is registered under this name.</exception>
    public static IScaler Get(Scaler scaler) => All.GetValueOrDefault(scaler)
        ?? throw new ArgumentOutOfRangeException(nameof(scaler), scaler, "unknown scaler");
}
