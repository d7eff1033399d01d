namespace Sluice.Domain.Fleet;

/// <summary>One stage of a cold start, with its duration in milliseconds.</summary>
public sealed record StartStage(string Name, double Ms);
