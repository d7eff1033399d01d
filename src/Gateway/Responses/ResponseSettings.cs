using Sluice.Storage.Responses;

namespace Sluice.Gateway.Responses;

/// <summary>The limits of stored responses.</summary>
/// <param name="Keep">How long a response is stored after its end.</param>
/// <param name="Limits">Sizes.</param>
public sealed record ResponseSettings(TimeSpan Keep, ResponseLimits Limits);
