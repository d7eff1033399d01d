namespace Sluice.Domain.Scaling;

/// <summary>Why an endpoint rejects requests, and until when.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Until">When the endpoint accepts requests again; <see cref="DateTimeOffset.MaxValue"/> if an operator
/// must change something first.</param>
/// <param name="PublicReason">The reason for clients without an API key; null if it is the same.</param>
public sealed record Refusal(string Reason, DateTimeOffset Until, string? PublicReason = null);
