namespace Sluice.Worker.Api;

/// <summary>Body of <c>/v2</c>.</summary>
public sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);
